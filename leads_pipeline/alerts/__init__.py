"""Alerts: from calls, runs and silence to few messages that people can read. Knows nothing of Dagster."""

"""Delivering leads to CRMs: what is due, what each CRM is told, and the receipts. Knows neither Dagster nor tables."""

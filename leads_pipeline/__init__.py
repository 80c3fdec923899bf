"""Pulls every IndiaMART lead exactly once, keeps it, and publishes tables that analysts query."""

__version__ = "0.1.0"

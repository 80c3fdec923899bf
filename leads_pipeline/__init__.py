"""Pulls every IndiaMART lead exactly once, keeps it, and publishes tables that analysts query."""

import os

__version__ = "0.1.0"

# Arrow's own allocator keeps what its threads freed: tens of MiB more every few hundred runs (apache/arrow#47266).
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

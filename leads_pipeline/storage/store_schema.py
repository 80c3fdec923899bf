"""Everything that the DuckDB file consists of, as the statements that create it, and their digest."""

import hashlib

from leads_pipeline.leads.schema import SCHEMA_VERSION
from leads_pipeline.storage.buyers_sql import BUYER_RULES
from leads_pipeline.storage.tables import TABLES
from leads_pipeline.storage.views import VIEWS

CREATE_STATEMENTS = [
    "CREATE SCHEMA pipeline",
    *(statement for table in TABLES for statement in table.statements),
    *(statement for view in VIEWS for statement in view.statements),
]

SCHEMA_SHA256 = hashlib.sha256(f"{SCHEMA_VERSION}\n{CREATE_STATEMENTS}\n{BUYER_RULES}".encode()).hexdigest()
"""Changes with every table, view, column, type and comment, with the leads' schema version, and with who is one buyer.

Another one means that the store is made anew.
"""

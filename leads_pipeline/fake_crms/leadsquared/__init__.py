"""A LeadSquared on this machine: an independent witness, written from what its API is known to do."""

from leads_pipeline.fake_crms.leadsquared.faults import RANDOM_FAULTS, FaultName
from leads_pipeline.fake_crms.leadsquared.fields import DEMO_CUSTOM, Field
from leads_pipeline.fake_crms.leadsquared.server import (
    DEMO_ACCESS_KEY,
    DEMO_ACTIVITY_TYPES,
    DEMO_SECRET_KEY,
    FakeLeadSquared,
)
from leads_pipeline.fake_crms.leadsquared.service import Call, Limit
from leads_pipeline.fake_crms.leadsquared.store import ActivityRecord, Record

__all__ = [
    "DEMO_ACCESS_KEY",
    "DEMO_ACTIVITY_TYPES",
    "DEMO_CUSTOM",
    "DEMO_SECRET_KEY",
    "RANDOM_FAULTS",
    "ActivityRecord",
    "Call",
    "FakeLeadSquared",
    "FaultName",
    "Field",
    "Limit",
    "Record",
]

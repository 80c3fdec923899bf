"""A SharpSpring on this machine: an independent witness, written from what its API is known to do."""

from leads_pipeline.fake_crms.sharpspring.faults import RANDOM_FAULTS, FaultName
from leads_pipeline.fake_crms.sharpspring.fields import Field
from leads_pipeline.fake_crms.sharpspring.server import DEMO_ACCOUNT_ID, DEMO_SECRET_KEY, FakeSharpSpring
from leads_pipeline.fake_crms.sharpspring.service import Call
from leads_pipeline.fake_crms.sharpspring.store import Record

__all__ = [
    "DEMO_ACCOUNT_ID",
    "DEMO_SECRET_KEY",
    "RANDOM_FAULTS",
    "Call",
    "FakeSharpSpring",
    "FaultName",
    "Field",
    "Record",
]

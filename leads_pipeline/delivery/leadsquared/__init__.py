"""LeadSquared: leads are created or updated in batches and found by a search key."""

from leads_pipeline.delivery.leadsquared.connector import LeadSquared
from leads_pipeline.delivery.leadsquared.default_fields import DEFAULT_FIELDS
from leads_pipeline.delivery.leadsquared.options import LeadSquaredOptions

__all__ = ["DEFAULT_FIELDS", "LeadSquared", "LeadSquaredOptions"]

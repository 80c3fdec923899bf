"""SharpSpring (Constant Contact Lead Gen & CRM): leads are created in batches and found by e-mail address."""

from leads_pipeline.delivery.sharpspring.connector import SharpSpring
from leads_pipeline.delivery.sharpspring.default_fields import DEFAULT_FIELDS
from leads_pipeline.delivery.sharpspring.options import SharpSpringOptions

__all__ = ["DEFAULT_FIELDS", "SharpSpring", "SharpSpringOptions"]

"""Which program speaks to which CRM."""

from collections.abc import Mapping
from pathlib import Path

from leads_pipeline.delivery.crm import CallRecorder, Crm
from leads_pipeline.delivery.destination import CrmName, Destination


def build_crm(destination: Destination, rate_file: Path, record: CallRecorder) -> Crm:
    """Return the connector to the destination's CRM; its calls go through `rate_file` and are told to `record`."""
    build = _leadsquared if destination.crm == "leadsquared" else _sharpspring
    return build(destination, rate_file, record)


def default_fields(crm: CrmName) -> Mapping[str, str]:
    """Return the mapping that is shipped for the CRM: our column or template by its field."""
    if crm == "leadsquared":
        from leads_pipeline.delivery.leadsquared.default_fields import DEFAULT_FIELDS as LEADSQUARED_FIELDS

        return LEADSQUARED_FIELDS
    from leads_pipeline.delivery.sharpspring.default_fields import DEFAULT_FIELDS as SHARPSPRING_FIELDS

    return SHARPSPRING_FIELDS


def _leadsquared(destination: Destination, rate_file: Path, record: CallRecorder) -> Crm:
    from leads_pipeline.delivery.leadsquared.connector import LeadSquared
    from leads_pipeline.delivery.leadsquared.options import BULK_CALLS, CALLS, PHONE, LeadSquaredOptions

    options = LeadSquaredOptions(
        host=destination.address,
        sync=destination.sync,
        update=destination.update,
        search_key=destination.search_key or PHONE,
        activity=destination.activity,
        call_limits=(destination.limits.get("calls", CALLS),),
        bulk_limits=(destination.limits.get("bulk_calls", BULK_CALLS),),
        timeout_seconds=destination.timeout_seconds,
    )
    return LeadSquared(
        access_key=destination.key_id,
        secret_key=destination.secret_key,
        rate_file=rate_file,
        record=record,
        options=options,
    )


def _sharpspring(destination: Destination, rate_file: Path, record: CallRecorder) -> Crm:
    from leads_pipeline.delivery.sharpspring.connector import SharpSpring
    from leads_pipeline.delivery.sharpspring.options import CALLS_PER_SECOND, ROWS_PER_CALL, URL, SharpSpringOptions

    options = SharpSpringOptions(
        url=destination.address or URL,
        sync=destination.sync,
        update=destination.update,
        placeholder_email=destination.placeholder_email or None,
        rows_per_call=destination.rows_per_call or ROWS_PER_CALL,
        limits=(destination.limits.get("calls", CALLS_PER_SECOND),),
        timeout_seconds=destination.timeout_seconds,
    )
    return SharpSpring(
        account_id=destination.key_id,
        secret_key=destination.secret_key,
        rate_file=rate_file,
        record=record,
        options=options,
    )

"""What `leads doctor` checks of the deliveries to CRMs, without a call."""

from leads_pipeline.cli.doctor_checks import Check, Level
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.destination import Destination
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import DeliveryState
from leads_pipeline.settings import Settings


def check_deliveries(settings: Settings) -> list[Check]:
    """Check that each destination has its keys, that its last run went through, and that no lead was given up."""
    return [_check(settings, one) for one in settings.destinations]


def _check(settings: Settings, destination: Destination) -> Check:
    name = f"delivery to {destination.label}"
    if not destination.has_keys:
        places = " and ".join(destination.key_places)
        return Check(name, Level.PROBLEM, f"the keys are not set ({places}).", "Set both.", needs_key_holder=True)
    outbox, log = Outbox(settings.state_dir), DeliveryLog(settings.state_dir)
    if not outbox.exists:
        return Check(name, Level.OK, "the keys are set; nothing was delivered yet (`leads deliver check` tries them)")
    last = next(iter(log.last_runs(destination.account, destination.name, 1)), None)
    if last is not None and last.stop:
        return Check(name, Level.PROBLEM, last.reason, "`leads deliver check` tries it again.")
    parked = outbox.counts().get((destination.account, destination.name, DeliveryState.PARKED), 0)
    if parked:
        todo = "`leads deliveries --failed` says why, `leads deliver --retry` tries them again."
        return Check(name, Level.WARNING, f"{parked} lead(s) were given up.", todo)
    return Check(name, Level.OK, "the keys are set, the last run went through" if last else "the keys are set")

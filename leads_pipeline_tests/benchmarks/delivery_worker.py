"""The process that delivers in `deliveries`: it is killed again and again, and begins anew each time."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from leads_pipeline.days import utc_now
from leads_pipeline.delivery.crms import default_fields
from leads_pipeline.delivery.destination import CrmName, Destination, FieldSource
from leads_pipeline.delivery.rate import RateLimit
from leads_pipeline.settings import Settings
from leads_pipeline.stages.deliver_leads import LeadDelivery, days_due
from leads_pipeline.stages.workspace import Workspace

ACCOUNT = "acme"
FIRST_DAY = date(2026, 3, 1)


@dataclass(frozen=True)
class DeliverySetup:
    """What the worker needs to know."""

    folder: str
    crm: CrmName
    address: str
    key_id: str
    secret_key: str
    calls: tuple[int, float]
    """At most so many calls in so many seconds; of bulk calls too."""
    rows_per_call: int
    timeout_seconds: float
    activity: str = ""
    """LeadSquared's activity type that notes each enquiry; empty for none."""
    ahead_seconds: float = 0.0
    """How far its clock is ahead, so that nobody waits for next attempts."""

    @property
    def workspace(self) -> Workspace:
        """Return the stores in the folder."""
        return Workspace(Settings(Path(self.folder), Path(self.folder) / "data", FIRST_DAY, None, (), ()))

    @property
    def destination(self) -> Destination:
        """Return where leads go."""
        limit = RateLimit(*self.calls)
        return Destination(
            account=ACCOUNT,
            name=self.crm,
            crm=self.crm,
            key_id=self.key_id,
            secret_key=self.secret_key,
            key_places=("KEY_ID", "SECRET_KEY"),
            fields=tuple(FieldSource(name, source) for name, source in default_fields(self.crm).items()),
            address=self.address,
            phone_form="dashed" if self.crm == "leadsquared" else "e164",
            activity=self.activity,
            start=FIRST_DAY,
            limits={"calls": limit, "bulk_calls": limit},
            rows_per_call=self.rows_per_call,
            timeout_seconds=self.timeout_seconds,
        )

    @property
    def clock(self) -> Callable[[], datetime]:
        """Return its clock."""
        ahead = timedelta(seconds=self.ahead_seconds)
        return lambda: utc_now() + ahead

    def to_json(self) -> str:
        """Return it as one argument of a command."""
        return json.dumps(asdict(self))


def deliver(setup: DeliverySetup) -> str:
    """Deliver what is due; return the kind of stop, empty if there was none."""
    workspace = setup.workspace
    workspace.prepare()
    delivery = LeadDelivery(workspace, setup.destination, "soak", clock=setup.clock)
    days = days_due(workspace, setup.destination, setup.clock())
    sent = delivery.deliver(days, lambda text: print(text, flush=True))
    return sent.stop.kind.value if sent.stop else ""


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    deliver(DeliverySetup(**{**given, "calls": tuple(given["calls"])}))

"""`leads demo --crm`: the demo's leads on their way to a fake CRM on this machine, with receipts."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from leads_pipeline.cli.deliver import show_plan
from leads_pipeline.cli.errors import USAGE, CommandError
from leads_pipeline.days import days_between
from leads_pipeline.delivery.crms import default_fields
from leads_pipeline.delivery.destination import CrmName, Destination, FieldSource
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.rate import RateLimit
from leads_pipeline.demo_setup import DemoSetup
from leads_pipeline.settings import DEMO_ACCOUNT, Settings
from leads_pipeline.stages.deliver_leads import LeadDelivery
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace

CRMS: tuple[CrmName, ...] = ("leadsquared", "sharpspring")
_SHOWN = 2
_RUN = "demo"
_FAST = RateLimit(50, 1.0)
"""The fake takes more calls than the real CRMs, which would make the demo wait for minutes."""
_NEXT = """Try next:
  leads query "select query_id, state, remote_id, delivered_after_seconds from deliveries limit 5"
  leads query "from deliveries_per_day"
  leads deliveries --failed    (what was held, and why)
  leads deliveries             (your own CRM: the README's section Deliveries)"""


def crm_name(given: str) -> CrmName:
    """Return the name if it is that of a CRM; else raise CommandError."""
    for name in CRMS:
        if given == name:
            return name
    raise CommandError(f"--crm {given}: there are {' and '.join(CRMS)}.", USAGE)


def run_crm_demo(settings: Settings, setup: DemoSetup, crm: CrmName, console: Console) -> None:
    """Deliver the demo's leads to an empty fake CRM: first as a dry run, then really, then again with nothing due."""
    workspace = Workspace(settings)
    outbox = Outbox(settings.state_dir)
    if outbox.exists:
        outbox.forget(DEMO_ACCOUNT)
    days = days_between(*setup.days)
    with _fake_destination(crm) as destination:
        console.print(f"\nA fake {crm} answers on this machine ({destination.address}). First a dry run:")
        show_plan(LeadDelivery(workspace, destination, _RUN), destination, days, by_hand=True, most=_SHOWN)
        LeadDelivery(workspace, destination, _RUN).deliver(days, console.print)
        console.print("And again:")
        LeadDelivery(workspace, destination, _RUN).deliver(days, console.print)
    publish_tables(workspace, lambda _: None)
    Console(soft_wrap=True, highlight=False).print(_NEXT)


@contextmanager
def _fake_destination(crm: CrmName) -> Iterator[Destination]:
    if crm == "leadsquared":
        from leads_pipeline.fake_crms.leadsquared.server import FakeLeadSquared
        from leads_pipeline.fake_crms.leadsquared.service import Limit

        fast = Limit(2 * _FAST.calls, _FAST.seconds)
        with FakeLeadSquared(call_limit=fast, bulk_limit=fast) as leadsquared:
            yield _destination(crm, leadsquared.url, leadsquared.access_key, leadsquared.secret_key)
    else:
        from leads_pipeline.fake_crms.sharpspring.server import FakeSharpSpring

        with FakeSharpSpring(calls_per_second=2 * _FAST.calls) as sharpspring:
            yield _destination(crm, sharpspring.url, sharpspring.account_id, sharpspring.secret_key)


def _destination(crm: CrmName, url: str, key_id: str, secret_key: str) -> Destination:
    return Destination(
        account=DEMO_ACCOUNT,
        name=crm,
        crm=crm,
        key_id=key_id,
        secret_key=secret_key,
        key_places=("the demo", "the demo"),
        fields=tuple(FieldSource(name, source) for name, source in default_fields(crm).items()),
        address=url,
        phone_form="dashed" if crm == "leadsquared" else "e164",
        limits={"calls": _FAST, "bulk_calls": _FAST},
    )

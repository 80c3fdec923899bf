"""An installation in a folder of its own, whose state is made by the program's own stores; runs `leads` in process."""

import sys
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from leads_pipeline.cli import main
from leads_pipeline.days import day_end, day_of, day_start, days_between, utc_now
from leads_pipeline.indiamart.call_slot import CallInFlight, Claim, Granted, SlotTimes, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.settings import load_settings
from leads_pipeline.stages.call_records import record_of_answer
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.atomic import make_private_folder
from leads_pipeline.storage.catalog import MergedCounts
from leads_pipeline.storage.day_paths import leads_file
from leads_pipeline.storage.raw import RawResponse, ResponseName, sha256_of

KEY = "q7Z/Canary+Key9x=="
RUN_ID = "5f0e8b1c-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Printed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything printed, in one line, so that a terminal's width does not matter."""
        cells = (self.out + self.err).translate(str.maketrans("│┃━─", "    "))
        return " ".join(cells.split())


@dataclass(frozen=True)
class Installation:
    root: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def state_dir(self) -> Path:
        return self.data_dir / "state"

    @property
    def workspace(self) -> Workspace:
        workspace = Workspace(load_settings(self.root))
        workspace.prepare()
        return workspace

    def set_key(self, key: str = KEY) -> None:
        (self.root / ".env").write_text(f"INDIAMART_CRM_KEY={key}\n")
        (self.root / ".env").chmod(0o600)

    def leads(self, *arguments: str) -> Printed:
        self.monkeypatch.setattr(sys, "argv", ["leads", *arguments])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = self.capsys.readouterr()
        return Printed(int(stopped.value.code or 0), printed.out, printed.err)

    def answered(
        self,
        first: date,
        last: date,
        outcome: Outcome = Outcome.LEADS,
        *,
        merged: bool = True,
        sent_at: datetime | None = None,
        start: datetime | None = None,
        until: datetime | None = None,
        server_is_ahead_by: timedelta = timedelta(0),
        interval: float = 310.0,
    ) -> str:
        """Make the call for the days, as a run does: slot, answer, sidecar, catalogue, tables.

        `start` and `until` are the window's borders where it is not whole days.
        """
        workspace, sent_at = self.workspace, sent_at or _after_midnight()
        name = ResponseName("indiamart", "v2", Window(start or day_start(first), until or day_end(last)), sent_at)
        claim = Claim(key_fingerprint(KEY), RUN_ID, SlotTimes(interval, 60.0, 930.0))
        granted = workspace.slots.request(claim)
        assert isinstance(granted, Granted)
        call = CallInFlight(
            claim.key_fingerprint, RUN_ID, "indiamart", "v2", name.window, name.response_id, sent_at, 0.0, lapsed=False
        )
        workspace.slots.begin(granted, call)
        response = _response(name, outcome, sent_at, server_is_ahead_by)
        workspace.raw.write_body(name, b"{}")
        workspace.raw.write_sidecar(response)
        workspace.catalog.add(response)
        workspace.slots.release(granted, record_of_answer(response, 0.0))
        if outcome.rule.covers and merged:
            self._merge(name.response_id, days_between(first, last))
        return name.response_id

    def _merge(self, response_id: str, days: list[date]) -> None:
        self.workspace.catalog.mark_merged([MergedCounts(response_id, 3, 3, 0, 0)])
        for day in days:
            path = leads_file(self.data_dir, "indiamart", day)
            make_private_folder(path.parent)
            path.touch(mode=0o600)

    def wants_the_slot(self, holder: str, turn: str) -> None:
        claim = Claim(key_fingerprint(KEY), holder, SlotTimes(310.0, 60.0, 930.0), turn=turn)
        assert not isinstance(self.workspace.slots.request(claim), Granted)

    def publish(self, *statements: str, version: int = 1) -> Path:
        """Publish a database made by these statements; return the version's path."""
        path = self.data_dir / "published" / f"{version}.duckdb"
        make_private_folder(path.parent)
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement).fetchall()
        path.chmod(0o400)
        link = self.data_dir / "leads.duckdb"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("published") / path.name)
        return path


def _after_midnight() -> datetime:
    """Return the time it is, but late enough for yesterday to have ended by the strictest clock."""
    now = utc_now()
    return max(now, day_start(day_of(now)) + timedelta(minutes=6))


def _response(name: ResponseName, outcome: Outcome, sent_at: datetime, ahead: timedelta) -> RawResponse:
    blank = RawResponse(
        response_id=name.response_id,
        account=name.account,
        source_api=name.source_api,
        origin="https://mapi.indiamart.com",
        window_start=name.window.start,
        window_end=name.window.end,
        sent_at=sent_at,
        received_at=sent_at + timedelta(seconds=1),
        server_date=sent_at + timedelta(seconds=1) + ahead,
        latency_seconds=1.0,
        http_status=200,
        code=200,
        message="SUCCESS",
        total_records=3,
        records=3,
        outcome=outcome,
        sha256=sha256_of(b"{}"),
        body_bytes=2,
        run_id=RUN_ID,
        key_fingerprint=key_fingerprint(KEY),
        key_masked=False,
    )
    if outcome.rule.has_records:
        return blank
    return replace(blank, code=401, message="refused", records=0, total_records=None)

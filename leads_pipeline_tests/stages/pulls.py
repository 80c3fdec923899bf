"""An installation that pulls from a fake IndiaMART, and pulls in processes that are killed at named points."""

import os
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Any

from leads_pipeline.days import utc_now
from leads_pipeline.fake_indiamart.keys import fingerprint
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.fake_indiamart.service import Call
from leads_pipeline.indiamart.api_versions import api_version
from leads_pipeline.indiamart.call_slot import Claim, Granted, SlotState, SlotTimes, key_fingerprint
from leads_pipeline.settings import Settings
from leads_pipeline.stages.pull import Pulled, PullLater, PullRequest, pull
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import RawResponse
from leads_pipeline_tests.support import KEY, complete_days, make_workspace, pull_to_the_end

DAYS = complete_days(7)
SELLERS = [f"{number}{KEY}" for number in range(200)]


def request_for(settings: Settings, days: Sequence[date], run_id: str = "run-1", **options: Any) -> PullRequest:
    return PullRequest(settings.accounts[0], tuple(days), run_id, **options)


def pull_and_be_killed(settings: Settings, days: Sequence[date], kill_at: str) -> None:
    os.environ["LEADS_KILL_AT"] = kill_at
    pull_to_the_end(Workspace(settings), request_for(settings, days, "killed"))


def claim_of_another(settings: Settings, turn: str = "") -> Claim:
    """What another process with the same key asks of the slot."""
    account = settings.accounts[0]
    times = SlotTimes(account.call_interval_seconds, account.timeout_seconds, account.block_seconds)
    return Claim(key_fingerprint(account.key), "another", times, turn=turn)


class FakeSeller:
    """One seller of a fake IndiaMART that several tests share, for starting one takes longer than asking it."""

    def __init__(self, server: FakeIndiaMart, key: str, url: str = "") -> None:
        server.clear_faults()
        self._server = server
        self.key = key
        self.url = url or server.url
        self.inject = server.inject

    @property
    def calls(self) -> list[Call]:
        """The calls with the seller's key, oldest first."""
        return [call for call in self._server.calls if call.key_fingerprint == fingerprint(self.key)]

    @property
    def refused_calls(self) -> list[Call]:
        """Those that the rules refused."""
        return [call for call in self.calls if call.refused]

    @property
    def gaps(self) -> list[float]:
        """The seconds between the calls."""
        return [later.monotonic - earlier.monotonic for earlier, later in pairwise(self.calls)]

    def true_ids(self, days: Sequence[date]) -> set[str]:
        return {lead.query_id for lead in self._server.truth(days[0], days[-1], key=self.key)}


class Installation:
    """A data folder, the fake that it asks, and what its runs log."""

    def __init__(self, settings: Settings, fake: FakeSeller) -> None:
        self.settings = settings
        self.fake = fake
        self.workspace = make_workspace(settings)
        self.lines: list[str] = []

    @property
    def outcomes(self) -> list[str]:
        """What the calls ended as, by the call log."""
        return [call.outcome.value for call in self.workspace.call_log.after(0)]

    @property
    def answers(self) -> list[RawResponse]:
        """The sidecars of all stored answers, oldest first."""
        sidecars = [self.workspace.raw.read_sidecar(name) for name in self.workspace.raw.response_ids()]
        return sorted((one for one in sidecars if one is not None), key=lambda one: one.sent_at)

    def pull(self, days: Sequence[date] = DAYS, run_id: str = "run-1", **options: Any) -> Pulled | PullLater:
        return pull(self.workspace, request_for(self.settings, days, run_id, **options), self.lines.append)

    def pull_to_the_end(self, days: Sequence[date] = DAYS, run_id: str = "run-1", **options: Any) -> Pulled:
        request = request_for(self.settings, days, run_id, **options)
        return pull_to_the_end(self.workspace, request, self.lines.append)

    def pull_until_fetched(self, days: Sequence[date] = DAYS) -> None:
        """Make runs until none has anything left to ask."""
        for number in range(20):
            if self.pull_to_the_end(days, f"again-{number}").response is None:
                return
        raise AssertionError("the days are never fetched")

    def fetched(self, days: Sequence[date] = DAYS) -> set[date]:
        return {day.day for day in self.workspace.coverage("indiamart", days, utc_now()) if day.fetched}

    def stored_ids(self) -> set[str]:
        """The ids of all records in stored answers whose leads are to be merged."""
        records = [
            record
            for answer in self.answers
            if answer.outcome.rule.has_records
            for record in api_version(answer.source_api).records_of(self.workspace.raw.read_body(answer.response_id))
        ]
        names = ("UNIQUE_QUERY_ID", "QUERY_ID")
        return {str(record[name]) for record in records for name in names if name in record}

    def true_ids(self, days: Sequence[date] = DAYS) -> set[str]:
        return self.fake.true_ids(days)

    def slot(self) -> SlotState:
        return self.workspace.slots.state(key_fingerprint(self.settings.accounts[0].key))

    def take_the_slot(self) -> Granted:
        """Take the slot as another process with the same key does."""
        granted = self.workspace.slots.request(claim_of_another(self.settings))
        assert isinstance(granted, Granted)
        return granted

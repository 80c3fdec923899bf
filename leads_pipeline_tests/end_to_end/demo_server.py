"""The demo's fake IndiaMART as a process of its own, and the truth as its call log tells it."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from leads_pipeline.days import utc_now
from leads_pipeline.demo_setup import DEMO_INTERVAL_SECONDS, DEMO_KEY, DEMO_SEED, DemoSetup, setup_file
from leads_pipeline.fake_indiamart.http_app import V2_PATH
from leads_pipeline.fake_indiamart.truth import TrueLead, truth_between

_CLOCK_SLACK = 0.9  # the server's interval against the client's, so that a call at the right time is never refused


def prepare_demo(data_dir: Path, url: str) -> DemoSetup:
    """Let the demo in this data folder ask the server at `url`, which it starts there if none answers."""
    setup = DemoSetup.for_moment(utc_now(), url)
    path = setup_file(data_dir / "state")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(setup.to_json())
    return setup


@contextmanager
def demo_server() -> Iterator[str]:
    """Run the server that `leads demo` would start, on a free port; yield its address."""
    command = [sys.executable, "-m", "leads_pipeline.fake_indiamart", "--seed", str(DEMO_SEED), "--key", DEMO_KEY]
    interval = ["--interval", str(DEMO_INTERVAL_SECONDS * _CLOCK_SLACK)]
    process = subprocess.Popen([*command, *interval], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def url_at(port: int) -> str:
    return f"http://127.0.0.1:{port}{V2_PATH}"


@dataclass(frozen=True)
class Counts:
    """How many calls a server has had, and how many of them it refused."""

    calls: int
    refused: int

    @classmethod
    def at(cls, url: str) -> "Counts":
        health = _control(url, "health")
        return cls(health["calls"], health["refused"])


def served_by(url: str, first_call: int = 1) -> list[TrueLead]:
    """Return the true leads that the calls from that number on were shown: a late lead is in no earlier answer."""
    leads = {}
    for call in _control(url, "calls"):
        if call["number"] >= first_call:
            start, end, at = (datetime.fromisoformat(call[name]) for name in ("start", "end", "at"))
            shown: Sequence[TrueLead] = truth_between(DEMO_SEED, DEMO_KEY, start, end, as_of=at)
            leads |= {lead.query_id: lead for lead in shown}
    return [*leads.values()]


def _control(url: str, name: str) -> Any:
    parts = urlsplit(url)
    return requests.get(f"{parts.scheme}://{parts.netloc}/_fake/{name}", timeout=10).json()

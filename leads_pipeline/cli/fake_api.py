"""The fake IndiaMART: in the foreground for `leads fake-api`, beside the demo and the UI as a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from leads_pipeline.cli.errors import CommandError
from leads_pipeline.days import utc_now
from leads_pipeline.demo_setup import DEMO_INTERVAL_SECONDS, DEMO_KEY, DEMO_PORT, DEMO_SEED, DemoSetup, setup_file
from leads_pipeline.settings import Settings
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.atomic import write_atomically

if TYPE_CHECKING:
    from leads_pipeline.fake_indiamart.server import FakeIndiaMart

_START_SECONDS = 20.0
_PATH = "/wservce/crm/crmListing/v2/"
_CLOCK_SLACK = 0.9  # the server's interval against ours, so that a call at the right time is never refused


def run_fake_api(port: int, seed: int, key: str, interval: float) -> None:
    """Serve until told to stop."""
    from leads_pipeline.fake_indiamart.server import DEMO_V1_KEY, FakeIndiaMart, serve

    accepted = key or DEMO_KEY
    server = FakeIndiaMart(seed, (accepted,), interval_seconds=interval, port=port, v1_keys={DEMO_V1_KEY: accepted})
    try:
        serve(server, on_ready=_announce)
    except OSError:
        raise CommandError(f"Port {port} is taken by another program. Choose another with --port.") from None


def _announce(server: "FakeIndiaMart") -> None:
    from leads_pipeline.fake_indiamart.server import DEMO_MOBILE, DEMO_V1_KEY

    print(
        f"The fake IndiaMART answers at {server.url}\nSet INDIAMART_API_URL to it. Stop with Ctrl-C.\n"
        f"v1, the same leads: {server.v1_url} with key {DEMO_V1_KEY} and mobile {DEMO_MOBILE}.",
        flush=True,
    )


@contextmanager
def demo_api(settings: Settings) -> Iterator[DemoSetup]:
    """Run the demo's fake IndiaMART while the block runs, unless one runs already; yield the demo's setup.

    The setup of the first demo is kept; only its address changes when the port is taken by another program.
    """
    Workspace(settings).prepare()
    setup = DemoSetup.load(settings.state_dir) or DemoSetup.for_moment(utc_now(), _url(DEMO_PORT))
    if _answers(setup.url):
        _save(settings, setup)
        yield setup
        return
    process, url = _start(urlsplit(setup.url).port or DEMO_PORT)
    try:
        setup = replace(setup, url=url)
        _save(settings, setup)
        yield setup
    finally:
        process.terminate()
        process.wait(timeout=_START_SECONDS)


def _start(port: int) -> tuple["subprocess.Popen[str]", str]:
    for candidate in (port, 0):  # 0 takes a free one
        process = _spawn(candidate)
        url = process.stdout.readline().strip() if process.stdout else ""
        if url:
            return process, url
        process.wait(timeout=_START_SECONDS)
    raise CommandError("The fake IndiaMART could not be started: no free port on this machine answers.")


def _spawn(port: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own module
        [
            *(sys.executable, "-m", "leads_pipeline.fake_indiamart", "--port", str(port), "--seed", str(DEMO_SEED)),
            *("--key", DEMO_KEY, "--interval", str(DEMO_INTERVAL_SECONDS * _CLOCK_SLACK)),
            *("--parent-pid", str(os.getpid())),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is for the command, which stops its server in the end
    )


def _answers(url: str) -> bool:
    """Tell whether a fake IndiaMART of the demo's seed answers there."""
    parts = urlsplit(url)
    try:
        health = requests.get(f"{parts.scheme}://{parts.netloc}/_fake/health", timeout=1.0).json()
    except (requests.RequestException, ValueError):
        return False
    return isinstance(health, dict) and health.get("name") == "fake-indiamart" and health.get("seed") == DEMO_SEED


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}{_PATH}"


def _save(settings: Settings, setup: DemoSetup) -> None:
    if DemoSetup.load(settings.state_dir) != setup:
        write_atomically(setup_file(settings.state_dir), setup.to_json())


def wait_until_answering(url: str, seconds: float) -> bool:
    """Return whether the address answers anything within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            requests.get(url, timeout=2.0)
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return True
    return False

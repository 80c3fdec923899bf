import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

COMMAND = [sys.executable, "-m", "leads_pipeline.fake_indiamart", "--interval", "0"]
PARENT_SCRIPT = """
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-m", "leads_pipeline.fake_indiamart", "--parent-pid", str(os.getpid())],
    stdout=subprocess.PIPE, text=True,
)
print(child.stdout.readline().strip(), flush=True)
time.sleep(60)
"""


@contextmanager
def process(command: list[str]) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        yield started, started.stdout.readline().strip()
    finally:
        started.kill()
        started.communicate()


def origin(url: str) -> str:
    return url.partition("/wservce")[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process_cleanly(number: signal.Signals) -> None:
    with process([*COMMAND, "--seed", "11"]) as (server, url):
        health = requests.get(f"{origin(url)}/_fake/health", timeout=5).json()
        server.send_signal(number)
        _, errors = server.communicate(timeout=5)

    assert health == {"name": "fake-indiamart", "seed": 11, "calls": 0, "refused": 0}
    assert (server.returncode, errors) == (0, "")


def test_the_process_stops_when_its_parent_is_killed() -> None:
    with process([sys.executable, "-c", PARENT_SCRIPT]) as (parent, url):
        assert requests.get(f"{origin(url)}/_fake/health", timeout=5).ok
        parent.kill()
        parent.wait()
        assert gone(url)


def test_the_process_stops_when_another_process_that_it_watches_is_gone() -> None:
    watched = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with process([*COMMAND, "--parent-pid", str(watched.pid)]) as (server, url):
        assert requests.get(f"{origin(url)}/_fake/health", timeout=5).ok
        watched.kill()
        watched.wait()
        assert server.wait(timeout=5) == 0
        assert gone(url)


def test_a_process_whose_parent_is_gone_already_stops_at_once() -> None:
    watched = subprocess.Popen([sys.executable, "-c", ""])
    watched.wait()
    assert not os.path.exists(f"/proc/{watched.pid}")  # noqa: PTH110 (a process, not a file)
    with process([*COMMAND, "--parent-pid", str(watched.pid)]) as (server, _):
        assert server.wait(timeout=5) == 0


def gone(url: str) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            requests.get(f"{origin(url)}/_fake/health", timeout=1)
        except requests.ConnectionError:
            return True
        time.sleep(0.05)
    return False

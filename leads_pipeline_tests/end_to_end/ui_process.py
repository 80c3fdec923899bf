"""`leads ui --demo` as a process, and its UI asked as its pages ask it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

from leads_pipeline_tests.end_to_end.shell import Shell

START_SECONDS = 120.0

_HURRIED_DAEMON = """
import sys

if "dagster._daemon" in sys.orig_argv:
    from dagster._daemon import controller

    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2
"""
"""Dagster's daemon looks after backfills every 30 seconds, and no setting changes that; each would wait twice."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class Ui:
    """The running UI, asked as its pages ask it."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = process

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the UI ended by itself"
            try:
                requests.get(f"{self.url}/server_info", timeout=5)
            except requests.RequestException:
                time.sleep(0.5)
            else:
                return
        raise AssertionError("the UI does not answer")

    def ask(self, query: str, **variables: object) -> Any:
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60)
        (content,) = answer.json()["data"].values()
        return content


@contextmanager
def running_ui(shell: Shell, port: int, log: Path) -> Iterator[Ui]:
    """Run the UI beside the demo's server, with a daemon that looks after backfills every 2 seconds."""
    hurry = shell.folder / "hurry"
    hurry.mkdir()
    (hurry / "sitecustomize.py").write_text(_HURRIED_DAEMON)
    path = os.pathsep.join(filter(None, (str(hurry), os.environ.get("PYTHONPATH"))))
    with log.open("wb") as output:
        process = subprocess.Popen(
            shell.command_line("ui", "--demo", "--port", str(port)),
            cwd=shell.folder,
            env={**shell.environment, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Ui(port, process)
    finally:
        for started in [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []:
            started.kill()
        process.kill()
        process.wait()
        print(log.read_text(encoding="utf-8"))

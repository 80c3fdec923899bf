"""`leads ui`: Dagster's webserver and daemon with the right home, and the fake IndiaMART beside them if wanted."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

from rich.console import Console

from leads_pipeline.cli.errors import FAILED, CommandError
from leads_pipeline.cli.fake_api import demo_api, wait_until_answering
from leads_pipeline.cli.instance import WORKSPACE_FILE, open_instance
from leads_pipeline.definitions import build_definitions
from leads_pipeline.settings import Settings, load_settings
from leads_pipeline.storage.atomic import write_synced

_START_SECONDS = 90.0
_STOP_SECONDS = 20.0


def run_ui(port: int, *, with_demo: bool) -> None:
    """Run the UI until Ctrl-C."""
    settings = load_settings()
    _refuse_taken_port(port)
    with demo_api(settings) if with_demo else contextlib.nullcontext():
        build_definitions(load_settings())  # a fault in the settings is said here, not in a log of the webserver
        with open_instance(settings):
            pass  # runs that died while no daemon ran are marked before the daemon counts them
        _serve(settings, port)


def _refuse_taken_port(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        raise CommandError(f"Port {port} is taken by another program. Choose another with --port.") from None


def _serve(settings: Settings, port: int) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    log_path = settings.dagster_home / "ui.log"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would hand on that it is ignored
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    write_synced(log_path, b"")
    with log_path.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [
                *(sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(port)),
                *("--workspace", str(settings.dagster_home / WORKSPACE_FILE)),
            ],
            cwd=settings.root,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches it once, through us
        )
    try:
        console.print("Starting the UI ...")
        if wait_until_answering(f"http://127.0.0.1:{port}/server_info", _START_SECONDS):
            console.print(f"The UI is at http://127.0.0.1:{port} (this machine only). Stop it with Ctrl-C.")
        if process.wait():
            raise CommandError(f"Dagster's UI ended by itself; what it said is in {log_path}.", FAILED)
    except KeyboardInterrupt:
        console.print("Stopping the UI. Runs that are under way go on to their end.")
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)

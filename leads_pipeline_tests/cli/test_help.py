import gc
import subprocess
import sys
import time

import pytest

from leads_pipeline import __version__
from leads_pipeline.cli import start_quickly
from leads_pipeline_tests.cli.installation import Installation

COMMANDS = ["demo", "pull", "status", "query", "tables", "export", "report", "ui", "fake-api", "doctor"]
PROGRAM = "from leads_pipeline.cli import main; main()"
SLOW = {"dagster", "pandas", "pyarrow", "duckdb", "numpy", "requests", "pydantic", "matplotlib", "rich.table"}


def test_the_help_names_every_command_and_the_first_steps(installation: Installation) -> None:
    printed = installation.leads("--help")
    assert printed.code == 0
    assert all(f" {command} " in printed.text for command in COMMANDS)
    assert "Start with `leads demo` (no key needed)" in printed.text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_commands_help_says_what_it_is_for(installation: Installation, command: str) -> None:
    printed = installation.leads(command, "--help")
    assert printed.code == 0
    first_sentence = printed.text.partition("Options:")[0].partition("[OPTIONS]")[2]
    assert len(first_sentence.split()) >= 8


def test_without_a_command_the_help_is_shown(installation: Installation) -> None:
    assert "Commands:" in installation.leads().text


def test_the_version_is_printed(installation: Installation) -> None:
    printed = installation.leads("--version")
    assert (printed.code, printed.out) == (0, f"{__version__}\n")


def test_a_command_looks_for_garbage_less_often_and_yet_does() -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)
        start_quickly()
        young, middle, old = gc.get_threshold()
    finally:
        gc.set_threshold(*before)
    assert young > 10_000
    assert young * middle * old < 1_000_000, "garbage stays a bounded part of memory in a pull of a year"


def test_an_unknown_command_is_a_usage_error(installation: Installation) -> None:
    assert installation.leads("pul").code == 2


def test_the_help_imports_nothing_slow(installation: Installation) -> None:
    program = (
        "import sys\n"
        "from leads_pipeline.cli import app\n"
        "app(['--help'], standalone_mode=False)\n"
        f"slow = {SLOW!r} & sys.modules.keys()\n"
        "sys.exit(f'imported: {sorted(slow)}' if slow else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=installation.root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["--help"], ["status"]])
def test_it_answers_at_once(installation: Installation, arguments: list[str]) -> None:
    """Half a second on an idle machine; the best of several, and room for a busy one."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], cwd=installation.root, capture_output=True, check=True
        )
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 2.0

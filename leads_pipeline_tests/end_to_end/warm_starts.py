"""Starts the `leads` command as a process that has everything imported already, which takes 3 s of each fresh start.

Run as a module it is the process that such commands are forked from: it imports, then reads requests line by line.
Each command has its own process, working folder, environment, arguments and output, as from a shell.
"""

import atexit
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_IMPORTED = (
    "dagster._core.storage.legacy_storage",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "duckdb",
    "leads_pipeline.cli.demo",
    "leads_pipeline.cli.pull",
    "leads_pipeline.cli.status",
    "pandas",
    "phonenumbers",
    "pyarrow.dataset",
    "pyarrow.parquet",
)


class WarmStarts:
    """The process that commands are forked from."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.communicate()

    def run(
        self, arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], before: str = ""
    ) -> tuple[int, str, str]:
        """Run the command to its end, in a process in which the program `before` has run.

        Returns its exit code (minus the signal that ended it), standard output and standard error.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with tempfile.TemporaryDirectory() as outputs:
            out, err = Path(outputs) / "out", Path(outputs) / "err"
            request = {
                "arguments": arguments,
                "folder": str(folder),
                "environment": dict(environment),
                "before": before,
            }
            print(json.dumps(request | {"out": str(out), "err": str(err)}), file=process.stdin, flush=True)
            exit_code = int(process.stdout.readline())
            return exit_code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")


def main() -> None:
    """Import, then serve requests until there are no more."""
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # a child's garbage collection then leaves these pages alone
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become_the_command(request)
        _, status_word = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status_word), flush=True)


def _become_the_command(request: dict[str, object]) -> None:
    from leads_pipeline.cli import main as run_command

    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(str(request[name]), os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(str(request["folder"]))
    environment, arguments = request["environment"], request["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["leads", *arguments]
    exit_code: object = 1
    try:
        exec(str(request["before"]), {})  # noqa: S102 - the tests' own programs
        run_command()
    except SystemExit as end:
        exit_code = end.code
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code if isinstance(exit_code, int) else 1)  # taking all modules down would take a second


if __name__ == "__main__":
    main()

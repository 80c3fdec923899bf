"""The `leads` command as people start it: a process, a folder to be in, an environment, words and an exit code."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from leads_pipeline_tests.end_to_end.warm_starts import WarmStarts

_MAIN = "from leads_pipeline.cli import main; main()"
_SAID_BEFORE = re.compile(r"(indiamart|demo): .*\d day\(s\)|A fake IndiaMART answers|\S+ to \S+: done, ")
_GIVE_UP_SECONDS = 400.0  # a machine may be busy with more than one suite


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def problem(self) -> str:
        """What was said of the problem: standard error without what the command announced before."""
        return "\n".join(line for line in self.err.splitlines() if not _SAID_BEFORE.match(line))

    @property
    def words(self) -> str:
        return f"{self.out}\n{self.err}"


@dataclass(frozen=True)
class Shell:
    """A folder that is a project's root, so that no other folder's `.env` is read, and the variables that are set."""

    folder: Path
    variables: dict[str, str]
    starts: WarmStarts | None = None
    """Where commands are forked from; without it each is a fresh start."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for marker in ("workspace.yaml", "dagster.yaml"):
            (self.folder / marker).touch()

    @property
    def data_dir(self) -> Path:
        return Path(self.variables.get("LEADS_DATA_DIR", str(self.folder / "data")))

    @property
    def environment(self) -> dict[str, str]:
        names = ("LEADS_", "INDIAMART_", "DAGSTER_")
        return {name: value for name, value in os.environ.items() if not name.startswith(names)} | self.variables

    def having(self, **variables: str) -> "Shell":
        """Return the shell with these variables set as well."""
        return replace(self, variables=self.variables | variables)

    def elsewhere(self, folder: Path) -> "Shell":
        """Return the shell in another folder."""
        return replace(self, folder=folder)

    def leads(self, *arguments: str, before: str = "") -> Done:
        """Run the command to its end, in a process in which the program `before` has run."""
        if self.starts is not None:
            result = Done(*self.starts.run(arguments, self.folder, self.environment, before))
        else:
            result = self._fresh(f"{before}\n{_MAIN}", *arguments)
        print(f"leads {' '.join(arguments)}: exit code {result.exit_code}\n{result.words}")
        return result

    def command_line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", _MAIN, *arguments]

    def _fresh(self, program: str, *arguments: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIVE_UP_SECONDS,
        )
        return Done(done.returncode, done.stdout, done.stderr)

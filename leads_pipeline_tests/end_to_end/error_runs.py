"""An installation that works, a command that fails on a copy of it, and what must be so afterwards."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from leads_pipeline.days import ONE_DAY, day_of, days_between, utc_now
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.call_slot import CallSlots
from leads_pipeline.storage.catalog import Catalog
from leads_pipeline.storage.raw import RawStore
from leads_pipeline_tests.end_to_end.searching import spellings_of, texts_in
from leads_pipeline_tests.end_to_end.shell import Done, Shell
from leads_pipeline_tests.end_to_end.warm_starts import WarmStarts
from leads_pipeline_tests.private_values import private_values
from leads_pipeline_tests.storage.children import ONE_THREAD

KEY = "cAnAryK3yOne/plus+equals=tilde~dollar$at@"
SECOND_KEY = "cAnAryK3yTwo%2Fand&amp;percent%25=quote'hash#"
"""Keys with what URLs, forms, HTML and JSON treat in their own way; they open nothing but the tests' server."""
INTERVAL_SECONDS = 0.1
DONE, FAILED, USAGE, NEEDS_A_PERSON = 0, 1, 2, 3
MAY_HOLD_BUYERS = ("raw/", "leads/", "quarantine/", "published/", "state/store.duckdb", "state/normalized/")


def days_ago(first: int, last: int) -> tuple[date, ...]:
    today = day_of(utc_now())
    return tuple(days_between(today - first * ONE_DAY, today - last * ONE_DAY))


PULLED_WEEK = days_ago(20, 14)
OTHER_WEEK = days_ago(13, 7)


def server_with(*keys: str) -> FakeIndiaMart:
    """Return a server with few leads, which refuses calls that are closer together than the client's interval."""
    interval = INTERVAL_SECONDS / 2
    return FakeIndiaMart(keys=keys, interval_seconds=interval, block_seconds=interval, leads_per_day=4)


def shell_in(folder: Path, server: FakeIndiaMart, starts: WarmStarts) -> Shell:
    return Shell(
        folder,
        {
            "INDIAMART_CRM_KEY": KEY,
            "INDIAMART_API_URL": server.url,
            "INDIAMART_CALL_INTERVAL_SECONDS": str(INTERVAL_SECONDS),
            "INDIAMART_BLOCK_SECONDS": str(2 * INTERVAL_SECONDS),
            "INDIAMART_TIMEOUT_SECONDS": "5",
        },
        starts,
    )


def pull_arguments(days: Sequence[date], *more: str) -> tuple[str, ...]:
    return ("pull", "--from", days[0].isoformat(), "--to", days[-1].isoformat(), *more)


@dataclass(frozen=True)
class Base:
    """An installation with one week pulled, and what tells who its buyers, and those to come, are."""

    shell: Shell
    server: FakeIndiaMart
    buyers: frozenset[str]

    @classmethod
    def build(cls, folder: Path, server: FakeIndiaMart, starts: WarmStarts) -> "Base":
        shell = shell_in(folder, server, starts)
        done = shell.leads(*pull_arguments(PULLED_WEEK))
        assert done.exit_code == DONE, done.words
        return cls(shell, server, private_values(server.truth(PULLED_WEEK[0], OTHER_WEEK[-1])))

    def copied_to(self, folder: Path) -> "Base":
        """Return the same installation in a folder of its own, to fail in."""
        shutil.copytree(self.shell.folder, folder, symlinks=True)
        return Base(self.shell.elsewhere(folder), self.server, self.buyers)

    def having(self, **variables: str) -> "Base":
        return Base(self.shell.having(**variables), self.server, self.buyers)

    def fails(self, *arguments: str, exit_code: int, says: str) -> Done:
        """Run the command, which must end with this code and begin with words that match; all else must be well."""
        before = tables_of(self.shell.data_dir)
        done = self.shell.leads(*arguments)
        assert_tells(done, exit_code, says)
        assert tables_of(self.shell.data_dir) == before
        self.assert_clean(done)
        return done

    def assert_clean(self, *done: Done) -> None:
        """Nothing is half-written, and neither key nor buyers are where they may not be."""
        assert [*leftovers_in(self.shell.data_dir)] == []
        self.assert_silent(*done)

    def assert_silent(self, *done: Done) -> None:
        """The key is nowhere at all, and buyers only where leads are kept."""
        said = [(f"command {number}", one.words) for number, one in enumerate(done, 1)]
        assert_nowhere(self.shell.variables["INDIAMART_CRM_KEY"], self.buyers, self.shell.data_dir, said)


def assert_tells(done: Done, exit_code: int, says: str) -> None:
    """The first line of the problem says what happened and what to do, and nobody sees a traceback."""
    assert done.exit_code == exit_code
    first_line = done.problem.partition("\n")[0]
    assert re.match(says, first_line), first_line
    assert "Traceback" not in done.words
    assert 'File "' not in done.words


def assert_nowhere(key: str, buyers: frozenset[str], data_dir: Path, said: Sequence[tuple[str, str]]) -> None:
    keys = spellings_of(key)
    for place, text in [*said, *texts_in(data_dir)]:
        found = sorted(one for one in keys if one in text)
        assert not found, f"{place} holds the key as {found}"
        if not place.startswith(MAY_HOLD_BUYERS):
            known = [one for one in buyers if one in text]
            assert not known, f"{place} tells {len(known)} thing(s) of buyers, one is {known[0]}"


def tables_of(data_dir: Path) -> Mapping[str, object]:
    """Return what analysts and the next merge see: every Parquet file's checksum and the published tables."""
    files: dict[str, object] = {
        str(path.relative_to(data_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("leads", "quarantine")
        for path in sorted((data_dir / folder).rglob("*"))
        if path.is_file()
    }
    database = data_dir / "leads.duckdb"
    if database.exists():
        with duckdb.connect(str(database), read_only=True, config=ONE_THREAD) as connection:
            for table in ("leads", "quarantine", "coverage"):
                files[table] = connection.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()  # noqa: S608
    return files


def leftovers_in(data_dir: Path) -> Iterator[str]:
    """Yield what a step would leave that did not come to its end."""
    if not data_dir.is_dir():
        return
    for path in sorted(data_dir.rglob("*")):
        if re.search(r"\.tmp|tmp-|\.staged|journal\.json|\.writable", path.name):
            yield f"{path} is half-written"
    for body in (data_dir / "raw").rglob("*.zst"):
        if not body.with_suffix(".json").exists():
            yield f"{body} has no sidecar"
    for sidecar in (data_dir / "raw").rglob("*.json"):
        json.loads(sidecar.read_bytes())
        if not sidecar.with_suffix(".zst").exists():
            yield f"{sidecar} has no body"
    state = data_dir / "state"
    if (state / "calls.sqlite").exists():
        yield from (f"call in flight: {call.response_id}" for call in CallSlots(state / "calls.sqlite").in_flight())
        yield from (f"announced: {name}" for name in Catalog(state / "answers.sqlite", RawStore(data_dir)).announced())

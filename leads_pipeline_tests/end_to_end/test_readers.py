import grp
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from leads_pipeline_tests.end_to_end.driver import (
    ACCOUNT,
    BASE_WEEK,
    Installation,
    PublishedState,
    fake_server,
    hold_on,
    open_as,
    published_state,
    run_to_the_end,
    true_state,
    watch,
    write_into_a_version,
)
from leads_pipeline_tests.end_to_end.truth_rows import assert_is_truth
from leads_pipeline_tests.storage.children import NOBODY, running

WEEKS = [BASE_WEEK.after(number) for number in range(1, 5)]


def states_after_each_week() -> list[PublishedState]:
    """The base week's state, then that after each further week."""
    with fake_server() as server:
        return [true_state(server.truth(BASE_WEEK.first, week.last)) for week in (BASE_WEEK, *WEEKS)]


def tables_of(link: Path) -> set[str]:
    with duckdb.connect(str(link), read_only=True) as connection:
        return {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def test_readers_that_come_and_go_see_whole_versions_only_while_runs_follow_each_other(
    base: Installation, data_dir: Path
) -> None:
    with fake_server() as server:
        installation = base.copied_to(data_dir, server.url)
        with running(watch, installation.database) as one, running(watch, installation.database) as other:
            assert (one.recv(), other.recv()) == ("ready", "ready")
            run_to_the_end(installation, WEEKS)
            one.send("stop")
            other.send("stop")
            seen = [one.recv(), other.recv()]
        assert_is_truth(installation.database, ACCOUNT, server.truth(BASE_WEEK.first, WEEKS[-1].last))
    states = states_after_each_week()
    for observed in seen:
        assert observed.errors == ()
        assert observed.states <= {*states}
        assert states[-1] in observed.states
        assert len(observed.states) > 2


def test_a_reader_that_holds_on_hinders_no_run_and_keeps_what_it_opened(base: Installation, data_dir: Path) -> None:
    states = states_after_each_week()
    with fake_server() as server:
        installation = base.copied_to(data_dir, server.url)
        with running(hold_on, installation.database) as holder:
            assert holder.recv() == "ready"
            for week, state in zip(WEEKS, states[1:], strict=True):
                run_to_the_end(installation, [week])
                assert published_state(installation.database) == state
            assert not (data_dir / "published" / "1.duckdb").exists()  # what it holds is long gone by name
            holder.send("stop")
            observed = holder.recv()
    assert observed.states == {states[0]}
    assert observed.opens > len(WEEKS)


def test_a_person_who_writes_into_the_live_version_harms_no_run_and_no_reader_of_the_next_one(
    base: Installation, data_dir: Path
) -> None:
    states = states_after_each_week()
    with fake_server() as server:
        installation = base.copied_to(data_dir, server.url)
        with running(write_into_a_version, installation.database) as person:
            assert person.recv() is True  # what was written lies in a .wal beside the version
            run_to_the_end(installation, WEEKS[:1])
            assert published_state(installation.database) == states[1]
            assert "notes" not in tables_of(installation.database)
            person.send("write more")
            assert person.recv() == 2
            with running(watch, installation.database) as reader:
                assert reader.recv() == "ready"
                run_to_the_end(installation, WEEKS[1:2])
                person.send("write more")
                assert person.recv() == 3
                reader.send("stop")
                observed = reader.recv()
        # The person's process was killed: its .wal stays until its version goes.
        assert list(data_dir.glob("published/*.wal")) != []
        run_to_the_end(installation, WEEKS[2:])
        assert_is_truth(installation.database, ACCOUNT, server.truth(BASE_WEEK.first, WEEKS[-1].last))
    assert observed.errors == ()
    assert observed.states <= {*states[1:3]}
    assert list(data_dir.glob("published/*.wal")) == []


def test_whoever_writes_into_each_version_in_turn_never_gets_into_the_next(base: Installation, data_dir: Path) -> None:
    states = states_after_each_week()
    with fake_server() as server:
        installation = base.copied_to(data_dir, server.url)
        for week, state in zip(WEEKS[:3], states[1:4], strict=True):
            with running(write_into_a_version, installation.database) as person:
                assert person.recv() is True
                run_to_the_end(installation, [week])
                assert published_state(installation.database) == state
            assert published_state(installation.database) == state


@pytest.fixture
def open_base(base: Installation) -> Iterator[Installation]:
    """A copy of the base that other users can get to: pytest's own folders are for its user only."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    yield base.copied_to(folder / "data", base.api_url)
    shutil.rmtree(folder)


def test_an_analyst_s_attempt_to_write_fails_at_once_and_hurts_nobody(open_base: Installation) -> None:
    is_root = os.getuid() == 0
    group = grp.getgrnam("daemon") if is_root else grp.getgrgid(os.getgid())
    user = NOBODY if is_root else os.getuid()
    states = states_after_each_week()
    with fake_server() as server:
        installation = Installation(open_base.data_dir, server.url, group=group.gr_name)
        run_to_the_end(installation, WEEKS[:1])
        with running(hold_on, installation.database) as holder, running(watch, installation.database) as reader:
            assert (holder.recv(), reader.recv()) == ("ready", "ready")
            with running(open_as, installation.database, user, group.gr_gid) as analyst:
                outcome, seconds = analyst.recv()
                assert analyst.recv() == states[1]
            run_to_the_end(installation, WEEKS[1:2])
            holder.send("stop")
            reader.send("stop")
            held, seen = holder.recv(), reader.recv()
        assert_is_truth(installation.database, ACCOUNT, server.truth(BASE_WEEK.first, WEEKS[1].last))
    assert outcome == "IOException"
    assert seconds < 5
    assert held.states == {states[1]}
    assert seen.errors == ()
    assert seen.states <= {*states[1:3]}

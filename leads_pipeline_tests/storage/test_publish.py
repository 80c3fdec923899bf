import grp
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.storage.children import (
    NOBODY,
    exit_code,
    open_read_write,
    publish,
    publish_killed,
    read_again_and_again,
    read_as,
    read_holding_on,
    running,
    write_in_spite_of_the_mode,
    write_state,
)
from leads_pipeline_tests.storage.lead_tables import DAY, day_after

DAYS = [day_after(offset) for offset in range(3)]
POINTS = ["store:before_commit", "store:committed", "publish:copied", "publish:before_link", "publish:after_link"]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_state(tmp_path / "data", DAYS, "first")
    return tmp_path / "data"


@pytest.fixture
def open_data_dir() -> Iterator[Path]:
    """A data folder that other users can get to: pytest's own are below one for its user only."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    write_state(folder / "data", DAYS, "first")
    yield folder / "data"
    shutil.rmtree(folder)


def ask(link: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(link), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def published_names(data_dir: Path) -> list[str]:
    return sorted(path.name for path in (data_dir / "published").iterdir())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_first_version_is_behind_a_relative_link(data_dir: Path) -> None:
    result = publish(data_dir)
    assert (result.version, result.published, result.path) == (1, True, data_dir / "leads.duckdb")
    assert result.path.readlink() == Path("published/1.duckdb")
    assert ask(result.path, "SELECT count(*) FROM leads") == [(30,)]
    assert ask(result.path, "SELECT version, program_version IS NOT NULL FROM publication") == [(1, True)]
    moved = data_dir.rename(data_dir.with_name("moved"))
    assert ask(moved / "leads.duckdb", "SELECT count(*) FROM leads") == [(30,)]


def test_nothing_new_publishes_nothing(data_dir: Path) -> None:
    publish(data_dir, 2)
    again = publish(data_dir, 2)
    assert (again.version, again.published, again.leads, again.api_calls) == (1, False, 30, 2)
    assert published_names(data_dir) == ["1.duckdb"]
    assert publish(data_dir, 3).version == 2


@pytest.mark.parametrize("harm", ["link removed", "link dangling", "link elsewhere", "version removed"])
def test_a_broken_link_is_made_good(data_dir: Path, harm: str) -> None:
    link = publish(data_dir).path
    if harm == "version removed":
        link.resolve().unlink()
    else:
        link.unlink()
        if harm == "link dangling":
            link.symlink_to("published/9.duckdb")
        elif harm == "link elsewhere":
            link.symlink_to("state/store.duckdb")
    result = publish(data_dir)
    assert result.published
    assert ask(link, "SELECT version FROM publication") == [(result.version,)]


def test_a_regular_file_in_place_of_the_link_is_refused_and_kept(data_dir: Path) -> None:
    (data_dir / "leads.duckdb").write_bytes(b"somebody's work")
    with pytest.raises(StorageError, match="move it away"):
        publish(data_dir)
    assert (data_dir / "leads.duckdb").read_bytes() == b"somebody's work"
    assert not (data_dir / "published").exists()


def test_the_last_three_versions_stay(data_dir: Path) -> None:
    for number in range(1, 6):
        write_state(data_dir, [DAY], f"state {number}")
        publish(data_dir)
        if number == 2:
            (data_dir / "published" / "2.duckdb.wal").write_bytes(b"left by a client")
            (data_dir / "published" / ".2.duckdb.tmp").write_bytes(b"half")
    assert published_names(data_dir) == ["3.duckdb", "4.duckdb", "5.duckdb"]


def test_a_number_with_a_left_over_wal_is_not_used_again(data_dir: Path) -> None:
    publish(data_dir)
    (data_dir / "published" / "2.duckdb.wal").write_bytes(b"left by a client")
    write_state(data_dir, [DAY], "second")
    assert publish(data_dir).version == 3
    assert ask(data_dir / "leads.duckdb", "SELECT count(*) FROM leads") == [(30,)]


@pytest.mark.parametrize("kill_at", POINTS)
def test_a_kill_leaves_a_whole_database_and_the_next_run_publishes(data_dir: Path, kill_at: str) -> None:
    publish(data_dir)
    write_state(data_dir, DAYS, "second", rows=7)
    assert exit_code(publish_killed, data_dir, 0, kill_at) == -signal.SIGKILL
    between = ask(data_dir / "leads.duckdb", "SELECT count(*) FROM leads")
    assert between == [(21,)] if kill_at == "publish:after_link" else between == [(30,)]
    result = publish(data_dir)
    assert result.published is (kill_at != "publish:after_link")
    states = ask(result.path, "SELECT count(*), count(DISTINCT content_hash), any_value(content_hash) FROM leads")
    assert states == [(21, 1, "second")]
    assert ask(result.path, "SELECT version FROM publication") == [(result.version,)]
    leftovers = [path.name for path in data_dir.rglob(".*")] + list(data_dir.rglob("*.wal"))
    assert leftovers == []


def test_a_kill_at_the_very_first_publication_heals(data_dir: Path) -> None:
    assert exit_code(publish_killed, data_dir, 0, "publish:before_link") == -signal.SIGKILL
    assert not (data_dir / "leads.duckdb").exists()
    assert ask(publish(data_dir).path, "SELECT count(*) FROM leads") == [(30,)]


def test_readers_see_only_whole_states_and_no_error_while_versions_change(data_dir: Path) -> None:
    link = publish(data_dir).path
    with running(read_again_and_again, link) as looping, running(read_holding_on, link) as holding:
        assert (looping.recv(), holding.recv()) == ("ready", "ready")
        for number in range(8):
            write_state(data_dir, DAYS, f"state {number:02}")
            assert publish(data_dir).published
        looping.send("stop")
        holding.send("stop")
        seen, held = looping.recv(), holding.recv()
    assert held == {(30, 1, "first")}
    possible = {(30, 1, "first"), *((30, 1, f"state {number:02}") for number in range(8))}
    assert seen <= possible
    assert len(seen) > 3


def test_a_person_who_writes_to_a_version_harms_neither_the_next_ones_nor_their_readers(data_dir: Path) -> None:
    link = publish(data_dir).path
    with running(write_in_spite_of_the_mode, link) as person:
        assert person.recv() is True
        for number in range(4):
            write_state(data_dir, DAYS, f"state {number}")
            publish(data_dir)
            assert ask(link, "SELECT DISTINCT content_hash FROM leads") == [(f"state {number}",)]
            assert ask(link, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'notes'") == [(0,)]
        person.send("write more")
        assert person.recv() == [(2,)]
    assert published_names(data_dir) == ["3.duckdb", "4.duckdb", "5.duckdb"]


def test_a_read_write_open_fails_at_once_and_blocks_nobody(open_data_dir: Path) -> None:
    link = publish(open_data_dir).path
    for path in [open_data_dir, *open_data_dir.rglob("*")]:
        if os.getuid() == 0:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    with running(read_holding_on, link) as reader, running(open_read_write, link, NOBODY, NOBODY) as person:
        assert reader.recv() == "ready"
        assert person.poll(20)
        assert person.recv() == "IOException"
        reader.send("stop")
        assert reader.recv() == {(30, 1, "first")}
    write_state(open_data_dir, DAYS, "second")
    assert publish(open_data_dir).published


def test_without_a_group_everything_is_for_the_owner_only(data_dir: Path) -> None:
    link = publish(data_dir).path
    assert mode(link.resolve()) == 0o400
    assert mode(data_dir / "published") == 0o700
    assert mode(data_dir / "state" / "store.duckdb") == 0o600
    assert mode(data_dir / "state" / "store.lock") == 0o600
    assert mode(data_dir) == mode(data_dir / "state") == 0o700


def test_a_group_reads_the_published_database_and_nothing_else(open_data_dir: Path) -> None:
    group = grp.getgrgid(os.getgid()) if os.getuid() else grp.getgrnam("daemon")
    publish(open_data_dir)
    link = publish(open_data_dir, group=group.gr_name).path
    assert mode(link.resolve()) == 0o440
    assert mode(open_data_dir / "published") == 0o750
    assert mode(open_data_dir) == 0o710
    assert {path.stat().st_gid for path in (open_data_dir, link.parent / "published", link.resolve())} == {group.gr_gid}
    assert mode(open_data_dir / "state") == mode(open_data_dir / "leads") == 0o700
    if os.getuid() == 0:
        private = LeadFiles(open_data_dir, "demo").path(DAY)
        with running(read_as, link, private, NOBODY, group.gr_gid) as analyst:
            assert analyst.recv() == (30, False)
    publish(open_data_dir)
    assert (mode(link.resolve()), mode(open_data_dir / "published")) == (0o400, 0o700)


def test_an_unknown_group_is_refused_before_anything_is_done(data_dir: Path) -> None:
    with pytest.raises(StorageError, match="no group named no-such-group"):
        publish(data_dir, group="no-such-group")
    assert not (data_dir / "state" / "store.duckdb").exists()


def test_a_lock_that_is_held_too_long_is_reported(data_dir: Path) -> None:
    with FileLock(data_dir / "state" / "store.lock"), pytest.raises(StorageError, match="another process"):
        publish(data_dir, lock_seconds=0.05)

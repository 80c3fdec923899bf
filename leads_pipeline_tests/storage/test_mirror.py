import hashlib
import os
import random
import shutil
import threading
from pathlib import Path

import duckdb
import pytest

from leads_pipeline.storage import mirror
from leads_pipeline.storage.mirror import MIRROR_THREAD, StoreMirror, update_copy
from leads_pipeline.storage.publish import PublishedVersions
from leads_pipeline.storage.store import store_path
from leads_pipeline_tests.storage.children import exit_code, publish, write_state
from leads_pipeline_tests.storage.lead_tables import day_after

DAYS = [day_after(offset) for offset in range(3)]


@pytest.fixture(autouse=True)
def every_store_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_WORTH_IT_BYTES", 0)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_state(tmp_path / "data", DAYS, "first")
    return tmp_path / "data"


def publish_to_the_end(data_dir: Path) -> None:
    publish(data_dir)
    for thread in threading.enumerate():
        if thread.name == MIRROR_THREAD:
            thread.join()


def publish_killed(data_dir: Path, kill_at: str) -> None:
    os.environ["LEADS_KILL_AT"] = kill_at
    mirror._WORTH_IT_BYTES = 0
    publish_to_the_end(data_dir)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leads_of_state(data_dir: Path, state: str) -> int:
    with duckdb.connect(str(data_dir / "leads.duckdb"), read_only=True) as connection:
        [(leads,)] = connection.execute("SELECT count(*) FROM leads WHERE content_hash = ?", [state]).fetchall()
    return int(leads)


def test_an_older_copy_is_made_equal_by_writing_what_differs(tmp_path: Path) -> None:
    store, copy, draws = tmp_path / "store.duckdb", tmp_path / "copy.duckdb", random.Random(5)
    with duckdb.connect(str(store)) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT range AS number, hash(range) AS h FROM range(1_500_000)")
    for step in range(4):
        shutil.copyfile(store, copy)
        with duckdb.connect(str(store)) as connection:
            first = draws.randrange(1_000_000)
            connection.execute("DELETE FROM numbers WHERE number BETWEEN ? AND ? + 500", [first, first])
            connection.execute("INSERT INTO numbers SELECT 2_000_000 + range, hash(range) FROM range(1000 * ?)", [step])
        written = update_copy(copy, store)
        assert digest(copy) == digest(store)
        assert written < store.stat().st_size / 2


def test_each_version_is_the_store_and_no_version_changes_once_it_is_published(data_dir: Path) -> None:
    digests: dict[Path, str] = {}
    for number in range(5):
        write_state(data_dir, [DAYS[number % 3]], f"state {number}")
        publish_to_the_end(data_dir)
        version = (data_dir / "leads.duckdb").resolve()
        digests[version] = digest(version)
        assert digests[version] == digest(store_path(data_dir)) == digest(StoreMirror(store_path(data_dir)).path)
        assert all(digest(path) == digests[path] for path in digests if path.exists())
        assert leads_of_state(data_dir, f"state {number}") == 10
    assert sorted(path.name for path in PublishedVersions(data_dir).folder.iterdir()) == [
        *("3.duckdb", "4.duckdb", "5.duckdb")
    ]


@pytest.mark.parametrize("kill_at", ["mirror:given", "publish:copied", "publish:after_link", "mirror:copied"])
def test_a_kill_leaves_what_was_published_and_the_next_version_is_whole(data_dir: Path, kill_at: str) -> None:
    publish_to_the_end(data_dir)
    write_state(data_dir, DAYS[:1], "second")
    assert exit_code(publish_killed, data_dir, kill_at) == -9
    assert leads_of_state(data_dir, "first") in (20, 30)
    write_state(data_dir, DAYS[1:], "third")
    publish_to_the_end(data_dir)
    assert leads_of_state(data_dir, "second") == 10
    assert leads_of_state(data_dir, "third") == 20
    assert digest((data_dir / "leads.duckdb").resolve()) == digest(store_path(data_dir))


@pytest.mark.parametrize("content", [b"", b"no database", b"\0" * 30_000])
def test_a_mirror_that_is_none_is_not_used(data_dir: Path, content: bytes) -> None:
    publish_to_the_end(data_dir)
    StoreMirror(store_path(data_dir)).path.write_bytes(content)
    write_state(data_dir, DAYS[:1], "second")
    publish_to_the_end(data_dir)
    assert leads_of_state(data_dir, "second") == 10
    assert digest((data_dir / "leads.duckdb").resolve()) == digest(store_path(data_dir))


def test_a_mirror_that_cannot_be_made_fails_no_publish_and_keeps_no_lock(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StoreMirror(store_path(data_dir)).path.with_name(".mirror.duckdb.tmp").mkdir()
    for state in ("second", "third"):
        write_state(data_dir, DAYS, state)
        publish_to_the_end(data_dir)
        assert leads_of_state(data_dir, state) == 30
    assert not StoreMirror(store_path(data_dir)).path.exists()


def test_a_small_store_has_no_mirror(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_to_the_end(data_dir)
    monkeypatch.setattr(mirror, "_WORTH_IT_BYTES", 2**40)
    write_state(data_dir, DAYS, "second")
    publish_to_the_end(data_dir)
    assert not StoreMirror(store_path(data_dir)).path.exists()
    assert leads_of_state(data_dir, "second") == 30


def test_files_of_the_mirror_are_for_the_owner_only(data_dir: Path) -> None:
    publish_to_the_end(data_dir)
    assert StoreMirror(store_path(data_dir)).path.stat().st_mode & 0o777 == 0o600

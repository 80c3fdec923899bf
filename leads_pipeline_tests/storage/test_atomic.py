import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from leads_pipeline.storage.atomic import make_private_folder, sync_folder, write_all_atomically, write_atomically


def test_a_file_is_written_for_its_owner_only_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os if step == "fsync" else Path, step, disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_of_many_files_written_together_those_that_fail_keep_their_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    paths = [tmp_path / str(number) for number in range(3)]
    write_all_atomically(dict.fromkeys(paths, b"old"))
    calls: list[object] = []
    owner = os if step == "fsync" else Path
    done = getattr(owner, step)

    def disk_full_at_the_second(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return done(*arguments)

    monkeypatch.setattr(owner, step, disk_full_at_the_second)
    with pytest.raises(OSError, match="No space left"):
        write_all_atomically(dict.fromkeys(paths, b"new"))
    monkeypatch.undo()
    assert [path.read_bytes() for path in paths] == [b"new" if step == "replace" else b"old", b"old", b"old"]
    assert sorted(tmp_path.iterdir()) == paths


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = noted_steps(monkeypatch)
    write_atomically(tmp_path / "file", b"data")
    assert steps == ["bytes", "name", "folder"]


def test_of_many_files_all_bytes_are_on_the_disk_before_a_name_and_all_names_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
    contents = {tmp_path / name: name.encode() for name in ("a/1", "a/2", "b/1")}
    steps = noted_steps(monkeypatch)
    write_all_atomically(contents)
    assert steps == [*["bytes"] * 3, *["name"] * 3, *["folder"] * 2]
    assert {path: path.read_bytes() for path in tmp_path.glob("*/*")} == contents
    assert {stat.S_IMODE(path.stat().st_mode) for path in contents} == {0o600}


def noted_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is waited for and renamed from now on, in its order."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "bytes")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return steps


def test_folders_are_made_for_their_owner_only_with_all_missing_parents(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b" / "c")
    make_private_folder(tmp_path / "a" / "b" / "c")
    assert [stat.S_IMODE((tmp_path / part).stat().st_mode) for part in ("a", "a/b", "a/b/c")] == [0o700] * 3
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    sync_folder(tmp_path / "a")


@pytest.mark.parametrize("write", [write_atomically, lambda path, data: write_all_atomically({path: data})])
def test_what_a_killed_writer_left_goes_with_the_next_write_and_a_living_ones_stays(
    tmp_path: Path, write: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "a.v2.day.zst"
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = tmp_path / f".{path.name}.{dead.pid}.tmp"
    alive = tmp_path / f".{path.name}.{os.getppid()}.tmp"
    others = tmp_path / f".b.zst.{dead.pid}.tmp"
    for file in (left, alive, others):
        file.touch()

    write(path, b"data")

    assert {*tmp_path.iterdir()} == {path, alive, others}

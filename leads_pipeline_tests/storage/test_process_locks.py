import os
import signal
import time
from pathlib import Path
from typing import Any

from leads_pipeline.storage.process_locks import is_alive, this_process
from leads_pipeline_tests.storage.children import CONTEXT


def tell_name_and_wait(state_dir: Path, pipe: Any) -> None:
    pipe.send(this_process(state_dir))
    time.sleep(60)


def test_this_process_is_alive_under_one_name(tmp_path: Path) -> None:
    name = this_process(tmp_path)
    assert this_process(tmp_path) == name
    assert is_alive(tmp_path, name)
    assert is_alive(tmp_path, name)


def test_a_name_that_no_process_has_is_not_alive(tmp_path: Path) -> None:
    assert not is_alive(tmp_path, "nobody")


def test_another_process_is_alive_until_it_is_killed_and_then_leaves_nothing(tmp_path: Path) -> None:
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=tell_name_and_wait, args=(tmp_path, theirs), daemon=True)
    process.start()
    name = ours.recv()
    assert is_alive(tmp_path, name)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert not is_alive(tmp_path, name)
    assert not is_alive(tmp_path, name)
    assert [*(tmp_path / "processes").iterdir()] == []

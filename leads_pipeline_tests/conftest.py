"""What holds for every test: the network ends at this machine, and files are written in memory if it has room."""

import os
import sys
from typing import Any

import pytest
from hypothesis import settings

from leads_pipeline_tests.memory import memory_root
from leads_pipeline_tests.storage.children import CONTEXT
from leads_pipeline_tests.support import refuse_other_machines

FIRST_FILES = (
    "end_to_end/test_ui_backfill.py",
    "end_to_end/test_ui_clicks.py",
    "end_to_end/test_demo.py",
    "end_to_end/test_kills.py",
    "end_to_end/test_errors.py",
    "end_to_end/test_faults.py",
    "benchmarks/test_soak.py",
    "end_to_end/test_competition.py",
    "end_to_end/test_year.py",
    "assets/test_raw_responses.py",
    "test_sensors.py",
    "stages/test_merge_interleavings.py",
    "end_to_end/test_readers.py",
    "end_to_end/test_moves.py",
    "storage/test_publish.py",
)
"""The files that take longest, the longest first: begun last, they would leave the other workers without work."""

PRELOADED = (
    "pytest",
    "leads_pipeline_tests.end_to_end.driver",
    "leads_pipeline_tests.end_to_end.test_competition",
    "leads_pipeline_tests.indiamart.slots",
    "leads_pipeline_tests.stages.pulls",
    "leads_pipeline_tests.stages.replays",
    "leads_pipeline_tests.stages.test_import_answers",
    "leads_pipeline_tests.stages.test_merge_interleavings",
    "leads_pipeline_tests.storage.children",
)
"""What tests run in children: imported once, by the process that they are forked from."""

CONTEXT.set_forkserver_preload([*PRELOADED])

settings.register_profile("gate", deadline=None, database=None)  # how long one example takes is no property of it
settings.load_profile("gate")

if memory := memory_root():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))  # where pytest makes the folders of tmp_path


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        refuse_other_machines(arguments[1])
    elif event == "socket.getaddrinfo":
        refuse_other_machines((arguments[0], arguments[1]))


sys.addaudithook(_audit)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; leave all else in the order that it has."""
    ranks = {name: rank for rank, name in enumerate(FIRST_FILES)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0].partition("/")[2], len(ranks)))

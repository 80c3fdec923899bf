"""An installation in a folder of its own for the tests of the commands."""

import os
from pathlib import Path

import pytest

from leads_pipeline_tests.cli.installation import Installation


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Installation:
    for name in list(os.environ):
        if name.startswith(("LEADS_", "INDIAMART_", "DAGSTER_")):
            monkeypatch.delenv(name)
    for marker in ("workspace.yaml", "dagster.yaml"):
        (tmp_path / marker).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return Installation(tmp_path, monkeypatch, capsys)

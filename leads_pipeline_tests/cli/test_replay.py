import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from leads_pipeline.stages import replay_tables
from leads_pipeline.storage.day_paths import leads_file
from leads_pipeline_tests.cli.installation import Installation
from leads_pipeline_tests.end_to_end.runs import folder_in_memory
from leads_pipeline_tests.stages.replays import DAYS, SECRET, History, new_history, other_rules

ACCOUNT = "indiamart"


@pytest.fixture(scope="module")
def filled() -> Iterator[History]:
    """A history of the default account."""
    with folder_in_memory() as folder:
        yield new_history(folder, ACCOUNT).fill()


@pytest.fixture
def stored(installation: Installation, filled: History, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation with that history."""
    monkeypatch.setattr(replay_tables, "_PUBLISHING_SECONDS", 0.0)
    shutil.copytree(filled.data_dir, installation.data_dir, symlinks=True)
    return installation


def day_file(installation: Installation, number: int) -> Path:
    return leads_file(installation.data_dir, ACCOUNT, DAYS[number])


def test_without_any_answer_there_is_nothing_to_replay(installation: Installation) -> None:
    printed = installation.leads("replay")
    assert (printed.code, printed.out) == (0, "")
    assert "There is nothing to replay" in printed.err
    assert not installation.data_dir.exists()


def test_what_is_equal_is_said_in_one_line_and_exits_with_0(stored: Installation) -> None:
    for options in (("--check",), ()):
        printed = stored.leads("replay", *options)
        assert (printed.code, printed.out) == (0, "")
        assert "indiamart: 4 answer(s) give 16 leads on 10 day(s); what stands is equal, row for row." in printed.text


def test_a_check_lists_the_days_that_differ_exits_with_1_and_changes_nothing(stored: Installation) -> None:
    day_file(stored, 1).unlink()
    with other_rules():
        printed = stored.leads("replay", "--check")
    assert printed.code == 1
    assert "What stands is not what the raw responses give. `leads replay` replaces it." in printed.err
    assert f"indiamart leads {DAYS[1]} 3 0 0 no file" in printed.text
    assert f"indiamart quarantine {DAYS[0]} 0 1 0" in printed.text
    assert "sender_name" in printed.text
    assert SECRET.lower() not in printed.text.lower()
    assert not day_file(stored, 1).exists()


def test_a_replay_lists_what_it_replaced_and_exits_with_0(stored: Installation) -> None:
    before = day_file(stored, 1).read_bytes()
    day_file(stored, 1).unlink()
    printed = stored.leads("replay")
    assert printed.code == 0
    assert "replaced 1 day file(s), the quarantine of 0 answer(s), and the tables." in printed.text
    assert f"indiamart leads {DAYS[1]} 3 0 0 no file" in printed.text
    assert day_file(stored, 1).read_bytes() == before
    assert stored.leads("replay", "--check").code == 0


def test_only_the_days_and_the_account_asked_for_are_replayed(stored: Installation) -> None:
    for number in (0, 2):
        day_file(stored, number).unlink()
    for options in (("--from", str(DAYS[3])), ("--to", str(DAYS[3] - (DAYS[4] - DAYS[0])))):
        assert stored.leads("replay", "--check", *options, "--account", ACCOUNT).code == 0
    assert stored.leads("replay", "--from", str(DAYS[2]), "--to", str(DAYS[2])).code == 0
    assert (day_file(stored, 0).exists(), day_file(stored, 2).exists()) == (False, True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--from", "1 March"), "a day is written YYYY-MM-DD"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "is before the first"),
        (("--account", "nobody"), "There is no account 'nobody'"),
    ],
)
def test_wrong_options_exit_with_2_and_say_what_is_expected(
    stored: Installation, options: tuple[str, ...], text: str
) -> None:
    printed = stored.leads("replay", *options)
    assert (printed.code, printed.out) == (2, "")
    assert text in printed.text


def test_missing_raw_responses_exit_with_1_and_say_what_to_restore(stored: Installation) -> None:
    shutil.rmtree(stored.data_dir / "raw")
    printed = stored.leads("replay")
    assert (printed.code, printed.out) == (1, "")
    assert "4 raw response(s) of account indiamart are missing" in printed.text
    assert "Restore raw/indiamart in the data folder" in printed.text


def test_a_check_tells_of_raw_responses_that_nothing_knows_any_more(stored: Installation) -> None:
    shutil.rmtree(stored.data_dir / "raw")
    shutil.rmtree(stored.state_dir)
    printed = stored.leads("replay", "--check")
    assert printed.code == 1
    assert "3 raw response(s) that such rows came from are missing" in printed.text


def test_a_long_list_is_cut(stored: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("leads_pipeline.cli.replay"), "_MOST_LISTED", 2)
    shutil.rmtree(stored.data_dir / "leads")
    printed = stored.leads("replay", "--check")
    assert "and 8 more" in printed.text
    assert str(DAYS[0]) not in printed.out

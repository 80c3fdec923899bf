"""The README tells what the program does: what can be derived from the program is held equal to it here."""

import re
from pathlib import Path

from leads_pipeline.cli import app
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.settings import setting_names

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def outcome_table() -> str:
    lines = ["| outcome | what it means, what to do | who acts | asked again |", "|---|---|---|---|"]
    lines += [
        f"| `{outcome}` | {outcome.rule.sentence} | {outcome.rule.actor} | {outcome.rule.retry} |"
        for outcome in Outcome
    ]
    return "\n".join(lines)


def test_the_outcomes_in_the_readme_are_those_of_the_program() -> None:
    assert outcome_table() in README


def test_every_setting_is_in_the_readme_and_in_the_example_file() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| `((?:LEADS|INDIAMART)_[A-Z_]+)` \|", README, re.MULTILINE)) == setting_names()
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == setting_names()


def test_every_command_in_the_readme_exists() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {str(group.name) for group in app.registered_groups}

    told = set(re.findall(r"`leads ([a-z-]+)", README)) | set(re.findall(r"\.venv/bin/leads ([a-z-]+)", README))

    assert told == known


def test_every_outcome_has_words_for_people() -> None:
    for outcome in Outcome:
        assert outcome.rule.sentence.endswith("."), outcome
        assert "error code" not in outcome.rule.sentence.lower(), outcome

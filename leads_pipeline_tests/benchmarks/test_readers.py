from pathlib import Path

from leads_pipeline_tests.benchmarks.readers import Findings, Seen, compare, expected_answer, judge


def test_readers_beside_a_few_publishes_see_whole_versions(tmp_path: Path) -> None:
    findings = compare(2, readers=1, holders=1, folder=tmp_path)
    assert [one for one in findings.violations if "slowed" not in one] == []  # so few publishes tell nothing of speed
    assert findings.lines[0].startswith("readers: 2, ")


def test_answers_of_two_versions_and_errors_are_violations() -> None:
    findings = Findings()
    good, mixed, failed = Seen(rounds=1), Seen(rounds=1), Seen(errors=["IOException: the file is locked"])
    good.answers[2] = {expected_answer(2)}
    mixed.answers[2] = {expected_answer(2), expected_answer(3)}
    judge(findings, [good, mixed, failed], holders=0)
    assert [one.split(" ")[0:3] for one in findings.violations] == [
        ["version", "2", "gave"],
        ["a", "reader", "failed:"],
        ["a", "reader", "never"],
    ]

import pytest

from leads_pipeline_tests.benchmarks import deliveries


def test_a_short_fight_ends_with_each_lead_in_the_crm_once(capsys: pytest.CaptureFixture[str]) -> None:
    code = deliveries.main(["--crm", "sharpspring", "--leads", "60", "--kills", "1", "--rows-per-call", "20"])
    printed = capsys.readouterr().out
    assert printed.endswith("passed\n"), printed
    assert code == 0
    assert " 1 kills" in printed

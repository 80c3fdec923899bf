import pytest

from leads_pipeline.indiamart.outcomes import RULES, Actor, AlertLevel, Outcome, Retry


def test_every_outcome_has_a_rule_with_a_sentence_for_people() -> None:
    assert {*RULES} == {*Outcome}
    assert all(rule.sentence.endswith(".") and len(rule.sentence) > 20 for rule in RULES.values())
    assert len({rule.sentence for rule in RULES.values()}) == len(RULES)


def test_only_answers_in_full_cover_their_window() -> None:
    assert {outcome for outcome in Outcome if outcome.rule.covers} == {Outcome.LEADS, Outcome.NO_LEADS}


def test_only_answers_with_leads_have_records_to_merge() -> None:
    assert {outcome for outcome in Outcome if outcome.rule.has_records} == {Outcome.LEADS, Outcome.TRUNCATED}


def test_what_a_person_must_mend_is_never_tried_again_by_itself() -> None:
    permanent = {outcome for outcome in Outcome if outcome.rule.retry is Retry.NEVER}
    assert permanent == {Outcome.KEY_REJECTED, Outcome.BAD_REQUEST}
    for outcome in permanent:
        assert outcome.rule.actor is not Actor.NOBODY
        assert outcome.rule.level is AlertLevel.CRITICAL


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_a_success_or_transient_or_waits_for_longer_than_a_run(outcome: Outcome) -> None:
    rule = outcome.rule
    waits = rule.retry in (Retry.NEXT_DAY, Retry.NEVER)
    assert [rule.is_success, rule.is_transient, waits].count(True) == 1


def test_only_a_block_waits_for_the_block() -> None:
    assert {outcome for outcome in Outcome if outcome.rule.retry is Retry.AFTER_BLOCK} == {Outcome.KEY_BLOCKED}

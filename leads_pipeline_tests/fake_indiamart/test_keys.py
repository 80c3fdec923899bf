from datetime import timedelta

from leads_pipeline.fake_indiamart.keys import KeyRing, fingerprint
from leads_pipeline.fake_indiamart.rules import Refusal
from leads_pipeline_tests.fake_indiamart.asking import NOW


def test_known_keys_pass_and_others_do_not() -> None:
    keys = KeyRing(["good"], expired=["old"])

    assert keys.check("good", NOW) is None
    assert keys.check("bad", NOW) is Refusal.KEY_INCORRECT
    assert keys.check("", NOW) is Refusal.KEY_INCORRECT
    assert keys.check("old", NOW) is Refusal.KEY_EXPIRED


def test_a_key_dies_when_it_rests_too_long_and_stays_dead() -> None:
    keys = KeyRing(["key"], unused_after=timedelta(days=7))

    assert keys.check("key", NOW) is None
    assert keys.check("key", NOW + timedelta(days=7)) is None
    assert keys.check("key", NOW + timedelta(days=14, seconds=1)) is Refusal.KEY_EXPIRED
    assert keys.check("key", NOW + timedelta(days=14, seconds=2)) is Refusal.KEY_EXPIRED


def test_a_replaced_key_is_refused_and_its_seller_goes_on_with_the_new_one() -> None:
    keys = KeyRing(["old"])
    keys.replace("old", "new", NOW)

    assert keys.check("old", NOW) is Refusal.KEY_REPLACED
    assert keys.replaced_at("old") == NOW
    assert keys.check("new", NOW) is None
    assert keys.seller("new") == "old"


def test_a_new_key_sees_history_after_a_day() -> None:
    keys = KeyRing(["key"], made_at=NOW)

    assert keys.history_from("key", NOW + timedelta(hours=23, minutes=59)) == NOW
    assert keys.history_from("key", NOW + timedelta(hours=24)) is None
    assert KeyRing(["key"]).history_from("key", NOW) is None


def test_a_fingerprint_tells_keys_apart_without_showing_them() -> None:
    assert fingerprint("key one") != fingerprint("key two")
    assert "key" not in fingerprint("key one")

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import phonenumbers
import pytest

from leads_pipeline.days import IST, day_end, day_start, days_between
from leads_pipeline.fake_indiamart.buyers import buyer_number
from leads_pipeline.fake_indiamart.catalogue import CITIES
from leads_pipeline.fake_indiamart.truth import (
    FIELDS,
    LAST_DAY,
    TrueLead,
    TruthOptions,
    leads_of_day,
    truth_between,
)

PINNED_DAY = date(2026, 3, 6)
FIRST, LAST = date(2025, 1, 1), date(2026, 2, 4)
DIGEST_SCRIPT = """
from leads_pipeline_tests.fake_indiamart.test_truth import PINNED_DAY, digest
print(digest(PINNED_DAY))
"""


@cache
def many_leads() -> tuple[TrueLead, ...]:
    return tuple(lead for day in days_between(FIRST, LAST) for lead in leads_of_day(7, "key", day))


def digest(day: date) -> str:
    leads = [
        [lead.query_time.isoformat(), lead.available_from.isoformat(), dict(lead.fields), dict(lead.extra)]
        for lead in leads_of_day(7, "key", day)
    ]
    return hashlib.sha256(json.dumps(leads).encode()).hexdigest()


def of_type(query_type: str) -> list[TrueLead]:
    return [lead for lead in many_leads() if lead.query_type == query_type]


def values(name: str) -> list[str]:
    return [value for lead in many_leads() if (value := lead.fields[name]) is not None]


def test_a_day_of_a_seed_is_pinned() -> None:
    assert len(leads_of_day(7, "key", PINNED_DAY)) == 22
    assert digest(PINNED_DAY) == "20661059e1314e2c3c1852dd05cbf5e671dd80abeef134dd2b16bea61d871c9b"


def test_another_process_with_another_hash_seed_sees_the_same_truth() -> None:
    command = [sys.executable, "-c", DIGEST_SCRIPT]
    root = Path(__file__).parents[2]
    result = subprocess.run(
        command, cwd=root, env={"PYTHONHASHSEED": "4711"}, capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == digest(PINNED_DAY)


def test_seed_key_and_day_each_change_the_leads() -> None:
    day = next(lead.query_time.date() for lead in many_leads())
    ids = {
        tuple(lead.query_id for lead in leads_of_day(seed, key, when))
        for seed, key, when in [(7, "key", day), (8, "key", day), (7, "other", day), (7, "key", day + timedelta(2))]
    }

    assert len(ids) == 4


def test_ids_are_unique_over_400_days_and_have_9_to_13_digits() -> None:
    ids = [lead.query_id for lead in many_leads()]

    assert len(days_between(FIRST, LAST)) == 400
    assert len(set(ids)) == len(ids) > 8000
    assert all(re.fullmatch(r"[1-9]\d{8,12}", query_id) for query_id in ids)
    assert {9, 10, 13} <= {len(query_id) for query_id in ids}


def test_ids_stay_unique_between_the_ends_of_the_calendar_and_with_many_leads() -> None:
    busy = TruthOptions(leads_per_day=1000)
    days = [date(2015, 1, 2), date(2015, 1, 3), date(2030, 5, 6), LAST_DAY - timedelta(1), LAST_DAY]
    ids = [lead.query_id for day in days for lead in leads_of_day(1, "key", day, busy)]

    assert len(ids) > 3000
    assert len(set(ids)) == len(ids)
    assert all(9 <= len(query_id) <= 13 for query_id in ids)


def test_every_day_with_leads_has_one_at_each_border_second() -> None:
    times = defaultdict(set)
    for lead in many_leads():
        times[lead.query_time.date()].add(lead.query_time.strftime("%H:%M:%S"))

    assert all({"00:00:00", "23:59:59"} <= of_day for of_day in times.values())


def test_leads_lie_in_their_day_and_say_so_in_their_fields() -> None:
    for day in days_between(FIRST, FIRST + timedelta(30)):
        for lead in leads_of_day(7, "key", day):
            assert day_start(day) <= lead.query_time < day_end(day)
            assert lead.query_time.tzinfo is IST
            assert lead.fields["QUERY_TIME"] == lead.query_time.strftime("%Y-%m-%d %H:%M:%S")
            assert lead.fields["UNIQUE_QUERY_ID"] == lead.query_id
            assert lead.fields["QUERY_TYPE"] == lead.query_type
            assert tuple(lead.fields) == FIELDS


def test_about_one_day_in_eleven_is_empty_and_the_others_average_what_was_asked_for() -> None:
    days_with_leads = {lead.query_time.date() for lead in many_leads()}

    assert 20 <= 400 - len(days_with_leads) <= 55
    assert 23 < len(many_leads()) / len(days_with_leads) < 27


def test_sundays_are_quieter_than_mondays() -> None:
    by_weekday = Counter(lead.query_time.weekday() for lead in many_leads())

    assert by_weekday[6] < 0.7 * by_weekday[0]


def test_types_come_in_realistic_shares_with_a_rare_unknown_one() -> None:
    shares = {name: count / len(many_leads()) for name, count in Counter(x.query_type for x in many_leads()).items()}

    assert set(shares) == {"W", "B", "P", "WA", "BIZ", "V"}
    assert shares["W"] > shares["P"] > 0.15
    assert shares["B"] > 0.15
    assert shares["V"] < 0.01


def test_about_three_percent_show_up_late_but_within_two_days() -> None:
    delays = [lead.available_from - lead.query_time for lead in many_leads()]
    late = [delay for delay in delays if delay]

    assert 0.02 < len(late) / len(delays) < 0.04
    assert min(late) >= timedelta(minutes=5)
    assert max(late) <= timedelta(days=2)


def test_some_buyers_call_about_a_minute_after_they_wrote() -> None:
    pairs = [
        (first, second)
        for first, second in zip(many_leads(), many_leads()[1:], strict=False)
        if (first.query_type, second.query_type) == ("W", "P")
        and first.fields["SENDER_MOBILE"] == second.fields["SENDER_MOBILE"]
        and second.query_time - first.query_time <= timedelta(seconds=75)
    ]

    assert len(pairs) > 100


def test_buyers_come_back_on_other_days() -> None:
    days = defaultdict(set)
    for lead in many_leads():
        days[lead.fields["SENDER_MOBILE"]].add(lead.query_time.date())

    assert sum(len(seen) >= 3 for seen in days.values()) >= 40


def test_indian_addresses_agree_with_the_city_and_end_in_the_pincode_after_a_run_of_spaces() -> None:
    cities = {(city.name, city.state): city for city in CITIES}
    checked = 0
    for lead in many_leads():
        name, state, pincode = (lead.fields[f"SENDER_{part}"] for part in ("CITY", "STATE", "PINCODE"))
        if lead.fields["SENDER_COUNTRY_ISO"] != "IN" or name is None or state is None or pincode is None:
            continue
        address = lead.fields["SENDER_ADDRESS"] or ""
        assert pincode in cities[name, state].pincodes
        assert re.search(rf"{re.escape(name)}, {re.escape(state)},  +{pincode}$", address)
        checked += 1
    assert checked > 3000


def test_mobiles_parse_as_numbers_of_their_country_or_are_a_country_code_alone() -> None:
    forms: Counter[str] = Counter()
    for number in values("SENDER_MOBILE"):
        assert re.fullmatch(r"\+\d{1,3}-\d*", number)
        forms["alone" if number.endswith("-") else number.split("-")[0]] += 1
        if not number.endswith("-"):
            assert phonenumbers.is_possible_number(phonenumbers.parse(number))

    assert forms["alone"] > 20
    assert all(forms[code] for code in ("+91", "+94", "+7", "+27", "+61", "+966"))
    assert "+61-" in values("SENDER_MOBILE")


def test_foreign_buyers_have_no_address() -> None:
    foreign = [lead for lead in many_leads() if lead.fields["SENDER_COUNTRY_ISO"] != "IN"]

    assert 0.03 < len(foreign) / len(many_leads()) < 0.1
    assert all(lead.fields["SENDER_ADDRESS"] is None for lead in foreign)


def test_landlines_alternates_and_receivers_are_there() -> None:
    assert all(re.fullmatch(r"0\d{1,4}-\d{4,8}", number) for number in values("SENDER_PHONE"))
    for name in ("SENDER_PHONE", "SENDER_PHONE_ALT", "SENDER_MOBILE_ALT", "SENDER_EMAIL_ALT", "RECEIVER_CATALOG"):
        assert len(values(name)) > 50, name
    assert all(re.fullmatch(r"\d{10}", number) for number in values("RECEIVER_MOBILE"))
    assert {lead.query_type for lead in many_leads() if lead.fields["RECEIVER_MOBILE"]} == {"P"}


def test_only_calls_have_a_duration_in_its_three_forms_and_no_message() -> None:
    durations = [lead.fields["CALL_DURATION"] for lead in of_type("P")]

    for form in (r"\d+", r"\d+ sec", r"00:\d\d:\d\d"):
        assert sum(1 for duration in durations if duration and re.fullmatch(form, duration)) > 50, form
    assert None in durations
    assert all(lead.fields["QUERY_MESSAGE"] is None for lead in of_type("P"))
    assert all(lead.fields["CALL_DURATION"] is None for lead in many_leads() if lead.query_type != "P")


def test_placeholder_names_occur_mostly_in_calls() -> None:
    for name in ("BUYER", "Buyer", "IndiaMART Buyer"):
        assert values("SENDER_NAME").count(name) > 50, name


@pytest.mark.parametrize(
    "feature",
    [
        "<br>", "\r\r", "\n", "Quantity :   ", "<br>Quantity : ", "Quantity Unit :   ", "Rs. 3,000 to 10,000", "Lakh",
        "Crore", "More than", "<br> Usage :   ", "Preferred Location: ", "चाहिए", "🙏", '"', " & ", "/", "½ inch", "°C",
        "   ",
    ],
)  # fmt: skip
def test_messages_have_what_real_ones_have(feature: str) -> None:
    assert sum(feature in message for message in values("QUERY_MESSAGE")) >= 5


def test_companies_have_trailing_spaces_ampersands_and_quotes_now_and_then() -> None:
    companies = values("SENDER_COMPANY")

    assert any(company.endswith("  ") for company in companies)
    assert any(" & " in company for company in companies)
    assert any('"' in company for company in companies)


def test_mail_and_web_addresses_lead_nowhere() -> None:
    mails = values("SENDER_EMAIL") + values("SENDER_EMAIL_ALT")

    assert all(re.fullmatch(r"[^@\s]+@[a-z]+\.example", mail) for mail in mails)
    assert all(url.startswith("https://www.catalogue.example/") for url in values("RECEIVER_CATALOG"))


def test_a_field_that_nobody_knows_appears_rarely() -> None:
    with_extra = [lead for lead in many_leads() if lead.extra]

    assert 0.005 < len(with_extra) / len(many_leads()) < 0.03
    assert {name for lead in with_extra for name in lead.extra} == {"QUERY_SOURCE_NEW"}


def test_a_buyer_is_the_same_every_time() -> None:
    assert buyer_number(17, 7, "key") == buyer_number(17, 7, "key") != buyer_number(18, 7, "key")


def test_truth_between_takes_its_start_and_leaves_its_end() -> None:
    lead = next(lead for lead in many_leads() if lead.query_time.strftime("%H:%M:%S") == "23:59:59")
    second = timedelta(seconds=1)

    assert lead in truth_between(7, "key", lead.query_time, lead.query_time + second)
    assert lead not in truth_between(7, "key", lead.query_time - second, lead.query_time)


def test_truth_as_of_a_moment_lacks_what_is_late_or_still_to_come() -> None:
    late = next(lead for lead in many_leads() if lead.available_from > lead.query_time)
    start, end = day_start(FIRST), day_end(FIRST + timedelta(60))
    before = truth_between(7, "key", start, end, as_of=late.available_from - timedelta(seconds=1))
    after = truth_between(7, "key", start, end, as_of=late.available_from)

    assert late not in before
    assert late in after
    assert all(lead.query_time <= late.available_from for lead in after)


def test_by_default_no_lead_ever_changes() -> None:
    assert all(lead.revisions == () for lead in many_leads())


def test_moving_leads_change_their_day_once_after_both_times_and_leave_the_others_alone() -> None:
    options = TruthOptions(moving_share=0.05)
    days = days_between(FIRST, FIRST + timedelta(99))
    leads = [lead for day in days for lead in leads_of_day(7, "key", day, options)]
    plain = [lead for day in days for lead in leads_of_day(7, "key", day)]
    moving = [lead for lead in leads if lead.revisions]

    assert 0.02 < len(moving) / len(leads) < 0.08
    assert [lead.fields for lead in leads] == [lead.fields for lead in plain]
    for lead in moving:
        (revision,) = lead.revisions
        later = lead.as_of(revision.at)
        assert lead.as_of(revision.at - timedelta(seconds=1)) == lead
        assert abs(later.query_time - lead.query_time) == timedelta(days=1)
        assert later.fields["QUERY_TIME"] == later.query_time.strftime("%Y-%m-%d %H:%M:%S")
        assert revision.at > max(later.query_time, lead.available_from)
        day = later.query_time.date()
        shown = truth_between(7, "key", day_start(day), day_end(day), as_of=revision.at, options=options)
        assert later.query_id in {each.query_id for each in shown}


def test_changing_leads_get_another_company_later() -> None:
    options = TruthOptions(changing_share=0.5, moving_share=0.5)
    leads = [lead for day in days_between(FIRST, FIRST + timedelta(9)) for lead in leads_of_day(7, "key", day, options)]
    changed = [
        lead for lead in leads if lead.as_of(day_end(LAST)).fields["SENDER_COMPANY"] != lead.fields["SENDER_COMPANY"]
    ]
    both = [lead for lead in changed if lead.as_of(day_end(LAST)).query_time != lead.query_time]

    assert 0.3 < len(changed) / len(leads) < 0.7
    assert both
    assert all(lead.as_of(day_end(LAST)).query_id == lead.query_id for lead in leads)


def test_days_outside_the_calendar_and_senseless_amounts_are_refused() -> None:
    with pytest.raises(ValueError, match="2050-01-01"):
        leads_of_day(7, "key", date(2050, 1, 1))
    with pytest.raises(ValueError, match="leads_per_day"):
        TruthOptions(leads_per_day=0)

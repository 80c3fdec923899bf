"""The truth: which leads a seller really has, as a pure function of seed, seller and day.

Nothing of the client's code is used here but the calendar, so a test that compares with it proves something.
A seller is named by the key that the server first knew them by.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

from leads_pipeline.days import ONE_DAY, day_of, day_start, days_between
from leads_pipeline.fake_indiamart.buyers import Buyer, company_name, some_buyer
from leads_pipeline.fake_indiamart.catalogue import PRODUCTS
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.messages import enquiry

FIELDS = (
    "UNIQUE_QUERY_ID",
    "QUERY_TYPE",
    "QUERY_TIME",
    "SENDER_NAME",
    "SENDER_MOBILE",
    "SENDER_EMAIL",
    "SUBJECT",
    "SENDER_COMPANY",
    "SENDER_ADDRESS",
    "SENDER_CITY",
    "SENDER_STATE",
    "SENDER_PINCODE",
    "SENDER_COUNTRY_ISO",
    "SENDER_MOBILE_ALT",
    "SENDER_PHONE",
    "SENDER_PHONE_ALT",
    "SENDER_EMAIL_ALT",
    "QUERY_PRODUCT_NAME",
    "QUERY_MESSAGE",
    "QUERY_MCAT_NAME",
    "CALL_DURATION",
    "RECEIVER_MOBILE",
    "RECEIVER_CATALOG",
)
"""The 23 fields of a v2 lead, in the API's order (contract: v2 success)."""

FIRST_DAY = date(2015, 1, 1)
LAST_DAY = date(2049, 12, 31)
MOST_LEADS_PER_DAY = 10_000

_SHARE_EMPTY_DAYS = 1 / 11
_SHARE_LATE = 0.03
_LATEST_MINUTES = 48 * 60
_SHARE_PAIRS = 0.06  # of leads: a W with a P from the same buyer about a minute later
_SHARE_NEW_FIELD = 0.015
_LAST_SECOND = 24 * 60 * 60 - 1
_WEEKDAYS = (1.16, 1.14, 1.12, 1.1, 1.08, 0.85, 0.55)  # Monday first; the mean is 1
_TYPES = (("W", 46.0), ("B", 22.0), ("P", 20.0), ("WA", 8.0), ("BIZ", 3.6), ("V", 0.4))
_BY_HOUR = (1, 0.5, 0.3, 0.3, 0.3, 0.6, 1.5, 3, 5, 8, 11, 12, 11, 9, 9, 10, 10, 9, 8, 6, 5, 4, 3, 2)
_HOUR_WEIGHTS = tuple((hour, float(weight)) for hour, weight in enumerate(_BY_HOUR))
# First id and ids per day of each number series: they never meet between FIRST_DAY and LAST_DAY.
_SERIES = {"B": (100_000_000, 30_000), "P": (500_000_000, 30_000), "W": (2_000_000_000, 200_000)}
_OTHER_SERIES = (1_500_000_000_000, 1_000_000)


@dataclass(frozen=True)
class TruthOptions:
    """How many leads there are, and which rare behaviours are switched on.

    `moving_share` of the leads get a QUERY_TIME on the next or previous day some hours after they were first
    shown; `changing_share` get a company filled in. Both are 0 by default, so that the truth stands still.
    """

    leads_per_day: float = 25.0
    moving_share: float = 0.0
    changing_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.leads_per_day <= MOST_LEADS_PER_DAY:
            raise ValueError(f"leads_per_day must be above 0 and at most {MOST_LEADS_PER_DAY}")


DEFAULT_OPTIONS = TruthOptions()


@dataclass(frozen=True)
class Revision:
    """What a lead reads from the moment `at` on: another QUERY_TIME or other fields."""

    at: datetime
    query_time: datetime
    fields: Mapping[str, str | None]


@dataclass(frozen=True)
class TrueLead:
    """One lead. Times are zone-aware, `query_time` in IST; answers hold the lead from `available_from` on.

    `fields` are the 23 fields in order, None for blank; `extra` holds fields that the contract does not know.
    """

    query_id: str
    query_type: str
    query_time: datetime
    available_from: datetime
    fields: Mapping[str, str | None]
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    revisions: tuple[Revision, ...] = ()

    def as_of(self, moment: datetime) -> "TrueLead":
        """Return the lead as an answer at this moment shows it."""
        lead = self
        for revision in self.revisions:
            if revision.at <= moment:
                lead = replace(lead, query_time=revision.query_time, fields=revision.fields)
        return lead


@lru_cache(maxsize=4096)
def leads_of_day(seed: int, key: str, day: date, options: TruthOptions = DEFAULT_OPTIONS) -> tuple[TrueLead, ...]:
    """Return the leads that the seller got on this day (IST), oldest first, late ones included.

    Every day that is not empty has a lead at 00:00:00 and one at 23:59:59. Raises ValueError for a day before
    FIRST_DAY or after LAST_DAY.
    """
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"days from {FIRST_DAY} to {LAST_DAY} have leads, {day} is outside")
    draws = Draws(seed, key, "day", day)
    if draws.chance(_SHARE_EMPTY_DAYS):
        return ()
    mean = options.leads_per_day * _WEEKDAYS[day.weekday()]
    count = max(2, round(mean * (1 + 0.5 * draws.spread())))
    drafts = _drafts(draws, seed, key, count)
    ids = _ids(draws, day, [draft.query_type for draft in drafts])
    leads = (_lead(draws, key, day, draft, query_id) for draft, query_id in zip(drafts, ids, strict=True))
    revised = (_with_revisions(lead, seed, key, options) for lead in leads)
    return tuple(sorted(revised, key=lambda lead: (lead.query_time, lead.query_id)))


def truth_between(
    seed: int,
    key: str,
    start: datetime,
    end: datetime,
    *,
    as_of: datetime | None = None,
    options: TruthOptions = DEFAULT_OPTIONS,
) -> tuple[TrueLead, ...]:
    """Return the seller's leads with start <= query_time < end, oldest first.

    With `as_of`, those that an answer at that moment holds, as it shows them: no later and no late ones.
    Without, all that there will ever be, as they were first shown.
    """
    # A lead can have moved in from the day before or after.
    reach = ONE_DAY if options.moving_share else timedelta()
    days = days_between(max(FIRST_DAY, day_of(start) - reach), min(LAST_DAY, day_of(end) + reach))
    leads = (lead for day in days for lead in leads_of_day(seed, key, day, options))
    shown = leads if as_of is None else _shown(leads, as_of)
    inside = (lead for lead in shown if start <= lead.query_time < end)
    return tuple(sorted(inside, key=lambda lead: (lead.query_time, lead.query_id)))


def _shown(leads: Iterable[TrueLead], moment: datetime) -> Iterable[TrueLead]:
    return (lead.as_of(moment) for lead in leads if lead.available_from <= moment)


@dataclass(frozen=True)
class _Draft:
    second: int
    query_type: str
    buyer: Buyer


def _drafts(draws: Draws, seed: int, key: str, count: int) -> list[_Draft]:
    drafts = [_Draft(second, draws.weighted(_TYPES), some_buyer(draws, seed, key)) for second in (0, _LAST_SECOND)]
    while len(drafts) < count:
        second = draws.weighted(_HOUR_WEIGHTS) * 3600 + draws.below(3600)
        buyer = some_buyer(draws, seed, key)
        call_second = second + draws.between(30, 75)
        if draws.chance(_SHARE_PAIRS) and call_second < _LAST_SECOND:
            drafts += [_Draft(second, "W", buyer), _Draft(call_second, "P", buyer)]
        else:
            drafts.append(_Draft(second, draws.weighted(_TYPES), buyer))
    return drafts


def _ids(draws: Draws, day: date, query_types: list[str]) -> list[str]:
    number = (day - FIRST_DAY).days
    offsets = iter(draws.distinct_below(_SERIES["B"][1], len(query_types)))
    ids = []
    for query_type in query_types:
        first, per_day = _SERIES.get(query_type, _SERIES["W"] if query_type == "V" else _OTHER_SERIES)
        ids.append(str(first + number * per_day + next(offsets)))
    return ids


def _lead(draws: Draws, key: str, day: date, draft: _Draft, query_id: str) -> TrueLead:
    query_time = day_start(day) + timedelta(seconds=draft.second)
    asked = enquiry(draws, draft.query_type, draws.pick(PRODUCTS))
    called = draft.query_type == "P"
    buyer = draft.buyer
    values = (
        query_id,
        draft.query_type,
        query_time.strftime("%Y-%m-%d %H:%M:%S"),
        _shown_name(draws, buyer.name, called),
        buyer.mobile,
        buyer.email,
        asked.subject,
        buyer.company,
        buyer.address,
        buyer.city,
        buyer.state,
        buyer.pincode,
        buyer.country_iso,
        buyer.mobile_alt,
        buyer.phone,
        buyer.phone_alt,
        buyer.email_alt,
        asked.product,
        asked.message,
        asked.category,
        _call_duration(draws) if called else None,
        draws.pick(_receivers(key)) if called and draws.chance(0.9) else None,
        _catalogue_url(key) if draws.chance(0.6) else None,
    )
    late = timedelta(minutes=draws.between(5, _LATEST_MINUTES)) if draws.chance(_SHARE_LATE) else timedelta()
    extra = {"QUERY_SOURCE_NEW": draws.pick(("APP", "DESKTOP", "M-SITE"))} if draws.chance(_SHARE_NEW_FIELD) else {}
    return TrueLead(
        query_id=query_id,
        query_type=draft.query_type,
        query_time=query_time,
        available_from=query_time + late,
        fields=MappingProxyType(dict(zip(FIELDS, values, strict=True))),
        extra=MappingProxyType(extra),
    )


def _shown_name(draws: Draws, name: str, called: bool) -> str:
    unknown = draws.chance(0.45 if called else 0.02)
    return draws.pick(("IndiaMART Buyer", "BUYER", "Buyer")) if unknown else name


def _call_duration(draws: Draws) -> str | None:
    seconds = draws.between(3, 900)
    form = draws.below(12)
    if form == 0:
        return f"{seconds} sec"
    if form == 1:
        return f"00:{seconds // 60:02d}:{seconds % 60:02d}"
    return None if form == 2 else str(seconds)  # noqa: PLR2004 (a call that nobody took has no duration)


@lru_cache(maxsize=64)
def _receivers(key: str) -> tuple[str, ...]:
    first = Draws(key, "virtual number").between(7900, 8099)
    return tuple(f"{first}000{number:03d}" for number in range(3))


@lru_cache(maxsize=64)
def _catalogue_url(key: str) -> str:
    seller = Draws(key, "catalogue")
    slug = company_name(seller).strip().lower()
    words = "-".join("".join(letter if letter.isalnum() else " " for letter in slug).split())
    return f"https://www.catalogue.example/{words}/"


def _with_revisions(lead: TrueLead, seed: int, key: str, options: TruthOptions) -> TrueLead:
    if not options.moving_share and not options.changing_share:
        return lead
    # Draws of their own: switching a behaviour on changes nothing else.
    moving = Draws(seed, key, "move", lead.query_id)
    changing = Draws(seed, key, "change", lead.query_id)
    at_border = lead.query_time.time().replace(microsecond=0).isoformat() in {"00:00:00", "23:59:59"}
    revisions = []
    if moving.chance(options.moving_share) and not at_border:
        revisions.append(_moved(lead, moving))
    if changing.chance(options.changing_share):
        at = lead.available_from + timedelta(minutes=changing.between(120, 4 * 24 * 60))
        revisions.append(Revision(at, lead.query_time, {"SENDER_COMPANY": company_name(changing)}))
    return replace(lead, revisions=_accumulated(lead, sorted(revisions, key=lambda revision: revision.at)))


def _moved(lead: TrueLead, draws: Draws) -> Revision:
    query_time = lead.query_time + (ONE_DAY if draws.chance(0.5) else -ONE_DAY)
    # Never into the future: it moves after both the old and the new time.
    at = max(lead.available_from, query_time).astimezone(UTC) + timedelta(minutes=draws.between(60, 36 * 60))
    return Revision(at, query_time, {"QUERY_TIME": query_time.strftime("%Y-%m-%d %H:%M:%S")})


def _accumulated(lead: TrueLead, changes: list[Revision]) -> tuple[Revision, ...]:
    revisions: list[Revision] = []
    query_time, fields = lead.query_time, lead.fields
    for change in changes:
        query_time = change.query_time if "QUERY_TIME" in change.fields else query_time
        fields = MappingProxyType({**fields, **change.fields})
        revisions.append(Revision(change.at, query_time, fields))
    return tuple(revisions)

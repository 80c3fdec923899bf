"""The v1 API's 33 fields under v2's names, so that leads of both become the same columns (contract: v1).

Nothing is lost: what v2 has no field for keeps its own name and so stands in `extra`; so does a written form that
says more than the field it was read into. Of v1's four date fields one time is made, QUERY_TIME.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import NamedTuple

from leads_pipeline.leads.schema import QUERY_ID_FIELD, QUERY_TIME_FIELD, QUERY_TYPE_FIELD
from leads_pipeline.leads.values import is_blank, text_of

_V2_NAMES = {
    "QUERY_ID": QUERY_ID_FIELD,
    "QTYPE": QUERY_TYPE_FIELD,
    "SENDERNAME": "SENDER_NAME",
    "SENDEREMAIL": "SENDER_EMAIL",
    "SENDERMAIL": "SENDER_EMAIL",
    "SUBJECT": "SUBJECT",
    "GLUSR_USR_COMPANYNAME": "SENDER_COMPANY",
    "MOB": "SENDER_MOBILE",
    "ENQ_MESSAGE": "QUERY_MESSAGE",
    "ENQ_ADDRESS": "SENDER_ADDRESS",
    "ENQ_CALL_DURATION": "CALL_DURATION",
    "ENQ_RECEIVER_MOB": "RECEIVER_MOBILE",
    "ENQ_CITY": "SENDER_CITY",
    "ENQ_STATE": "SENDER_STATE",
    "PRODUCT_NAME": "QUERY_PRODUCT_NAME",
    "COUNTRY_ISO": "SENDER_COUNTRY_ISO",
    "EMAIL_ALT": "SENDER_EMAIL_ALT",
    "MOBILE_ALT": "SENDER_MOBILE_ALT",
    "PHONE": "SENDER_PHONE",
    "PHONE_ALT": "SENDER_PHONE_ALT",
}
V2_FIELDS_IN_V1 = frozenset({*_V2_NAMES.values(), QUERY_TIME_FIELD})
"""The fields of v2 that v1 has too, under whatever name."""
_OF_THE_ANSWER = ("RN", "TOTAL_COUNT")
"""A lead's row number and the rows' count: they tell of the answer, differ in the next one, and stand elsewhere, as
`response_position` and in the answer's sidecar."""
_DATE_FIELDS = ("LOG_TIME", "DATE_TIME_RE", "DATE_RE", "DATE_R")
"""In the order in which they are believed; LOG_TIME of a call has the day alone."""
_ADDRESS_FIELD = "ENQ_ADDRESS"
_CALL_TYPE = "P"

KEPT_IN_EXTRA = frozenset(
    {
        "READ_STATUS",
        "SENDER_GLUSR_USR_ID",
        "COUNTRY_FLAG",
        "QUERY_MODID",
        "QUERY_MODREFID",
        "DIR_QUERY_MODREF_TYPE",
        "ORG_SENDER_GLUSR_ID",
        "IM_MEMBER_SINCE",
        _ADDRESS_FIELD,
        *_DATE_FIELDS,
    }
)
"""Fields of v1 that can stand in `extra`: known ones, of which nobody need be told."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = r"(?P<day>\d{1,2})[- ](?P<month>\d{2}|[A-Za-z]{3})[- ](?P<year>\d{4}|\d{2})"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?(?:\s*(?P<half>[AP]M))?"
_WRITTEN = re.compile(rf"{_DAY}(?:\s+{_CLOCK})?", re.ASCII | re.IGNORECASE)
_LOGGED = re.compile(
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})", re.ASCII
)
_YEARS = range(2000, 2100)  # as the schema's times
_MIDNIGHT = time()

Record = Mapping[str, object]


class _ReadTime(NamedTuple):
    """A time as a field wrote it, on India's clocks, and how exactly: the shortest span that it tells apart."""

    moment: datetime
    precision: timedelta


_SECOND, _MINUTE, _DAY_LONG = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def records_in_v2_form(records: Iterable[object]) -> list[object]:
    """Return v1's records under v2's names, in their order; what is no object stays as it is.

    A record without an id or a readable time stays whole under v1's names, beside what says why it can't be a lead,
    and without its row number and count, so that it is known again in the next answer.
    """
    return [
        _in_v2_form(record, position) if isinstance(record, dict) else record for position, record in enumerate(records)
    ]


def _in_v2_form(record: Record, position: int) -> Record:
    times = {name: _time_in(name, record) for name in _DATE_FIELDS}
    asked = _query_time(times, record.get("QTYPE"))
    if asked is None or not _is_id(record.get("QUERY_ID")):
        whole = {name: value for name, value in record.items() if name not in _OF_THE_ANSWER}
        return whole | _why_no_lead(record)
    renamed: dict[str, object] = {QUERY_TIME_FIELD: f"{asked.moment:%Y-%m-%d %H:%M:%S}"}
    for name, value in record.items():
        if name in _OF_THE_ANSWER:
            if name == "RN" and text_of(value) != str(position + 1):
                renamed[name] = value
        elif name in _DATE_FIELDS:
            if not _says_no_more(times[name], asked):
                renamed[name] = value
        else:
            _put(renamed, name, value)
    return renamed


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and not is_blank(text_of(value))


def _put(renamed: dict[str, object], name: str, value: object) -> None:
    """Enter the field under v2's name, or under its own where v2 has none or another field has told it already."""
    target = _V2_NAMES.get(name, name)
    if target in renamed and not is_blank(text_of(renamed[target])):
        if not is_blank(text_of(value)) and value != renamed[target]:
            renamed[f"V1_{name}" if name == target else name] = value
        return
    if name == _ADDRESS_FIELD and isinstance(value, str):
        address = without_empty_parts(value)
        if address and address != value:
            renamed[name] = value
        value = address
    renamed[target] = value


def _why_no_lead(record: Record) -> dict[str, object]:
    """Return id and time under v2's names, the time as the first field that has any text gives it."""
    told: dict[str, object] = {QUERY_ID_FIELD: record["QUERY_ID"]} if "QUERY_ID" in record else {}
    written = [value for name in _DATE_FIELDS if not is_blank(text_of(value := record.get(name)))]
    return told | ({QUERY_TIME_FIELD: written[0]} if written else {})


def _time_in(name: str, record: Record) -> _ReadTime | None:
    told = read_v1_time(record.get(name))
    if told is not None and name == "LOG_TIME" and told.moment.time() == _MIDNIGHT:
        return _ReadTime(told.moment, _DAY_LONG)
    return told


def _query_time(times: Mapping[str, _ReadTime | None], query_type: object) -> _ReadTime | None:
    """Return when the buyer asked: by the field that tells it most exactly, LOG_TIME first but for calls."""
    names = ("DATE_TIME_RE", *_DATE_FIELDS) if query_type == _CALL_TYPE else _DATE_FIELDS
    readable = [told for name in names if (told := times[name]) is not None]
    return min(readable, key=lambda told: told.precision, default=None)


def _says_no_more(told: _ReadTime | None, chosen: _ReadTime) -> bool:
    """Tell whether the field says what QUERY_TIME says, as exactly as it says it."""
    return told is not None and timedelta(0) <= chosen.moment - told.moment < told.precision


def read_v1_time(value: object) -> _ReadTime | None:
    """Return the time that one of v1's forms writes, in India; None for anything else.

    `20200313164138`, `13-Mar-2020 05:51:21 PM`, `13 Mar 2020`, `13-Mar-20`, and 2018's `11-10-2018 18:03`.
    """
    text = (text_of(value) or "").strip()
    found = _LOGGED.fullmatch(text) or _WRITTEN.fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict()
    year, hour = int(parts["year"]), int(parts["hour"] or 0)
    year = year + _YEARS.start if len(parts["year"]) == len("20") else year
    if year not in _YEARS:
        return None
    if parts.get("half"):
        hour = hour % 12 + (12 if parts["half"].upper() == "PM" else 0)
    try:
        moment = datetime(
            year,
            _month(parts["month"]),
            int(parts["day"]),
            hour,
            int(parts["minute"] or 0),
            int(parts["second"] or 0),
        )
    except ValueError:
        return None
    precision = _DAY_LONG if parts["hour"] is None else _MINUTE if parts["second"] is None else _SECOND
    return _ReadTime(moment, precision)


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    name = text.lower()
    return _MONTHS.index(name) + 1 if name in _MONTHS else 0


def without_empty_parts(address: str) -> str:
    """Return the address without its empty parts: `, Pune, Maharashtra, ` is `Pune, Maharashtra`; `, , , ` is blank."""
    parts: Sequence[str] = address.split(",")
    filled = [part for part in parts if part.strip()]
    return address if len(filled) == len(parts) else ",".join(filled).strip()

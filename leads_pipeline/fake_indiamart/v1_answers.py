"""How the v1 API words and writes its answers: a list of rows, errors in several forms, or nothing at all.

A refusal or an empty window can be a bare `[]`, which does not say why (contract: v1); how often is a draw.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from leads_pipeline.days import IST
from leads_pipeline.fake_indiamart.answers import FORMAT, NOT_YET_AVAILABLE, TOO_OLD, Answer, written_moment
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.rules import Refusal
from leads_pipeline.fake_indiamart.truth import TrueLead

NO_LEADS = "There are no leads in the given time duration.please try for a different duration."
SOFT_LIMIT = (
    "It is advised to hit this API once in every 5 minutes, but it seems that you have crossed this limit."
    " Please try again after 5 minutes."
)
_WORDS = {
    Refusal.KEY_INCORRECT: "CRM key that you are using is incorrect. Kindly use the correct key as provided.",
    Refusal.KEY_EXPIRED: "CRM key that you are using is expired as it was no longer in use. Kindly generate a new key.",
    Refusal.UNREADABLE_TIMES: FORMAT,
    Refusal.TOO_OLD: TOO_OLD,
}
_REPLACED = (
    "CRM key that you are using has expired. Kindly use the new key which you have generated on '{}' to continue."
)
_ERROR_NAMES = ("Error_Message", "Error Message")
_MODULES = ("ASTBUY", "DIRECT", "PROD", "FENQ")


@dataclass(frozen=True)
class V1Style:
    """How one answer is written: what varies from call to call and means nothing."""

    mail_name: str
    before_time: str
    blank: str | None


def style_of(draws: Draws) -> V1Style:
    """Return a style; the names and the space are those of different years."""
    return V1Style(
        mail_name="SENDERMAIL" if draws.chance(0.1) else "SENDEREMAIL",
        before_time=" " if draws.chance(0.5) else "",
        blank=None if draws.chance(0.8) else "",
    )


def leads_answer(leads: Iterable[TrueLead], draws: Draws, silence: float) -> Answer:
    """Return the answer that holds these leads, newest first; without any, words or, in that share, a bare `[]`."""
    newest_first = sorted(leads, key=lambda lead: (lead.query_time, lead.query_id), reverse=True)
    if not newest_first:
        return said(NO_LEADS, draws, silence)
    style, total = style_of(draws), len(newest_first)
    rows = [_row(lead, number, total, style) for number, lead in enumerate(newest_first, 1)]
    return Answer(listing=rows, php_style=draws.chance(0.5))


def refusal_answer(refusal: Refusal, draws: Draws, silence: float, *, replaced_at: datetime | None = None) -> Answer:
    """Return the answer for a request that is refused for good; only a wrong key's can be a bare `[]`."""
    if refusal is Refusal.KEY_REPLACED:
        return said(_REPLACED.format(written_moment(replaced_at)), draws)
    return said(_WORDS[refusal], draws, silence if refusal is Refusal.KEY_INCORRECT else 0.0)


def soft_limit_answer(draws: Draws, silence: float) -> Answer:
    """Return the answer to a call that comes too soon: words or, in that share, a bare `[]`."""
    return said(SOFT_LIMIT, draws, silence)


def withheld_answer(draws: Draws, silence: float) -> Answer:
    """Return the answer for days from before the key, as long as they are withheld."""
    return said(NOT_YET_AVAILABLE, draws, silence)


def said(words: str, draws: Draws, silence: float = 0.0) -> Answer:
    """Return these words as an error, in one of its forms; or, in that share of answers, a bare `[]`."""
    if draws.chance(silence):
        return Answer(listing=[])
    error = {draws.pick(_ERROR_NAMES): words}
    return Answer(listing=[error] if draws.chance(0.7) else error)


def _row(lead: TrueLead, number: int, total: int, style: V1Style) -> dict[str, object]:
    given = lead.fields
    called = lead.query_type == "P"
    stable = Draws("v1", lead.query_id)  # what v2 does not show stays the same from call to call
    moment = lead.query_time.astimezone(IST)
    known = None if called else str(stable.between(10_000_000, 199_999_999))
    row: dict[str, object] = {
        "RN": str(number),
        "QUERY_ID": lead.query_id,
        "QTYPE": lead.query_type,
        "SENDERNAME": given["SENDER_NAME"],
        style.mail_name: given["SENDER_EMAIL"],
        "SUBJECT": given["SUBJECT"],
        "DATE_RE": moment.strftime("%d %b %Y"),
        "DATE_R": moment.strftime("%d-%b-%y"),
        "DATE_TIME_RE": style.before_time + moment.strftime("%d-%b-%Y %I:%M:%S %p"),
        "GLUSR_USR_COMPANYNAME": given["SENDER_COMPANY"],
        "READ_STATUS": stable.pick((None, "-1")),
        "SENDER_GLUSR_USR_ID": known,
        "MOB": _mobile(given["SENDER_MOBILE"], called, stable),
        "COUNTRY_FLAG": f"https://1.img.example/country-flags/small/{(given['SENDER_COUNTRY_ISO'] or '').lower()}.png",
        "QUERY_MODID": None if called else stable.pick(_MODULES),
        "LOG_TIME": moment.strftime("%Y%m%d000000" if called else "%Y%m%d%H%M%S"),
        "QUERY_MODREFID": None if called else str(stable.between(40_000_000_000, 49_999_999_999)),
        "DIR_QUERY_MODREF_TYPE": stable.pick(("0", None)),
        "ORG_SENDER_GLUSR_ID": known or str(stable.between(10_000_000, 199_999_999)),
        "ENQ_MESSAGE": given["QUERY_MESSAGE"],
        "ENQ_ADDRESS": given["SENDER_ADDRESS"] or stable.pick((None, "", ", , , ")),
        "ENQ_CALL_DURATION": _duration(given["CALL_DURATION"]),
        "ENQ_RECEIVER_MOB": given["RECEIVER_MOBILE"],
        "ENQ_CITY": given["SENDER_CITY"],
        "ENQ_STATE": given["SENDER_STATE"],
        "PRODUCT_NAME": given["QUERY_PRODUCT_NAME"],
        "COUNTRY_ISO": given["SENDER_COUNTRY_ISO"],
        "EMAIL_ALT": given["SENDER_EMAIL_ALT"],
        "MOBILE_ALT": given["SENDER_MOBILE_ALT"],
        "PHONE": given["SENDER_PHONE"],
        "PHONE_ALT": given["SENDER_PHONE_ALT"],
        "IM_MEMBER_SINCE": stable.pick(("Apr-2018", "Feb-2019", "Aug-2010", None)),
        "TOTAL_COUNT": str(total),
    }
    return {name: style.blank if value is None else value for name, value in {**row, **lead.extra}.items()}


def _mobile(mobile: str | None, called: bool, stable: Draws) -> str | None:
    """Return the number as v1 writes it: a caller's without the dash, or without the country code too."""
    if mobile is None or not called or not mobile.startswith("+91-"):
        return mobile
    return stable.pick((mobile.replace("-", ""), mobile.removeprefix("+91-")))


def _duration(text: str | None) -> str | None:
    """Return v1's form of a call's length, such as `51 Secs`."""
    if text is None:
        return None
    seconds = 0
    for part in text.removesuffix(" sec").split(":"):
        seconds = 60 * seconds + int(part)
    return f"{seconds} Secs"

"""What the faults make of a v1 answer. Those that v1 has no form of its own for are words, as all its refusals are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from leads_pipeline.fake_indiamart.answers import NOT_YET_AVAILABLE, SERVER_ERROR, Answer, hard_limit_answer
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.faults import Echo, Fault, FaultName, spoiled_in_any_api
from leads_pipeline.fake_indiamart.rules import Refusal
from leads_pipeline.fake_indiamart.v1_answers import NO_LEADS, SOFT_LIMIT, refusal_answer, said

_TOO_WIDE = "Maximum allowed difference between Start_Time and End_Time is 7 days."
_HALF_AN_EMOJI = "\ud83d"


def spoiled_v1(answer: Answer, fault: Fault, echo: Echo, draws: Draws) -> Answer:
    """Return what a v1 call gets in place of the answer that it would have got."""
    anyhow = spoiled_in_any_api(answer, fault, echo)
    if anyhow is not None:
        return anyhow
    if fault.name in _WORDS:
        return said(_WORDS[fault.name], draws)
    replacement = _REPLACEMENTS.get(fault.name)
    if replacement is not None:
        return replacement(draws)
    if fault.name is FaultName.ECHO_KEY:
        return _with_echo(answer, f"Request: {echo.address} (key {echo.key})", draws)
    return _ALTERATIONS[fault.name](answer)


_WORDS: Mapping[FaultName, str] = {
    FaultName.SOFT_429: SOFT_LIMIT,
    FaultName.NOT_YET_AVAILABLE_204: NOT_YET_AVAILABLE,
    FaultName.NOT_YET_AVAILABLE_401: NOT_YET_AVAILABLE,
    FaultName.TOO_WIDE: _TOO_WIDE,
    FaultName.SERVER_ERROR: SERVER_ERROR,
    FaultName.UNKNOWN_CODE: "Something that nobody has seen before",
}
_REPLACEMENTS: Mapping[FaultName, Callable[[Draws], Answer]] = {
    FaultName.HARD_429: lambda _: hard_limit_answer(),
    FaultName.KEY_INCORRECT: lambda draws: refusal_answer(Refusal.KEY_INCORRECT, draws, 0.0),
    FaultName.KEY_EXPIRED: lambda draws: refusal_answer(Refusal.KEY_EXPIRED, draws, 0.0),
    FaultName.KEY_REGENERATED: lambda draws: refusal_answer(Refusal.KEY_REPLACED, draws, 0.0),
    FaultName.BAD_REQUEST: lambda draws: refusal_answer(Refusal.UNREADABLE_TIMES, draws, 0.0),
    FaultName.HTTP_500: lambda draws: replace(said(SERVER_ERROR, draws), http_status=500),
    FaultName.EMPTY_LIST: lambda _: Answer(listing=[]),
}


def _with_echo(answer: Answer, words: str, draws: Draws) -> Answer:
    rows = _rows(answer)
    if not rows:
        return said(f"{NO_LEADS} {words}", draws)
    return replace(answer, listing=[{**rows[0], "REQUEST": words}, *rows[1:]])


def _fewer_than_total(answer: Answer) -> Answer:
    rows = _rows(answer)
    kept = rows[: max(1, len(rows) * 2 // 3)]
    total = str(len(rows) + (len(kept) == len(rows)))
    return _with_rows(answer, [{**row, "TOTAL_COUNT": total} for row in kept])


def _with_garbage(answer: Answer) -> Answer:
    rows = _rows(answer)
    base = {"QTYPE": "W", "SENDERNAME": "Garbage Record", "MOB": "+91-9000000999"}
    garbage: list[object] = [
        "this is not a record",
        {**base, "LOG_TIME": "20240523154428"},
        {"QUERY_ID": "999000001", **base, "LOG_TIME": "yesterday at noon"},
    ]
    middle = len(rows) // 2
    return _with_rows(answer, [garbage[0], *rows[:middle], *garbage[1:], *rows[middle:]])


def _with_duplicates(answer: Answer) -> Answer:
    rows = _rows(answer)
    return _with_rows(answer, [*rows, *rows[1:2], *({**row, "SUBJECT": "A later copy"} for row in rows[:1])])


def _with_lone_surrogate(answer: Answer) -> Answer:
    rows = _rows(answer)
    broken = [{**row, "ENQ_MESSAGE": f"{row['ENQ_MESSAGE'] or ''}{_HALF_AN_EMOJI}"} for row in rows[:1]]
    # Escaped, as in the wild: a lone surrogate has no UTF-8.
    return replace(_with_rows(answer, [*broken, *rows[1:]]), php_style=True)


def _with_numbers(answer: Answer, names: tuple[str, ...]) -> Answer:
    rows = [{**row, **{name: int(str(row[name])) for name in names}} for row in _rows(answer)]
    return _with_rows(answer, rows)


def _in_latin1(answer: Answer) -> Answer:
    rows = [{**row, "READ_STATUS": "Succès"} for row in _rows(answer)]
    return replace(_with_rows(answer, rows), latin1=True, php_style=False)


def _with_rows(answer: Answer, rows: Sequence[object]) -> Answer:
    return replace(answer, listing=list(rows)) if _rows(answer) else answer


def _rows(answer: Answer) -> list[dict[str, object]]:
    """Return the answer's leads; none if it is words."""
    listing = answer.listing if answer.rows else []
    return [row for row in listing or [] if isinstance(row, dict)]


_ALTERATIONS: Mapping[FaultName, Callable[[Answer], Answer]] = {
    FaultName.FEWER_THAN_TOTAL: _fewer_than_total,
    FaultName.CODE_AS_TEXT: lambda answer: _with_numbers(answer, ("QUERY_ID",)),
    FaultName.TOTAL_AS_TEXT: lambda answer: _with_numbers(answer, ("RN", "TOTAL_COUNT")),
    FaultName.GARBAGE_RECORDS: _with_garbage,
    FaultName.DUPLICATE_RECORDS: _with_duplicates,
    FaultName.LATIN1: _in_latin1,
    FaultName.LONE_SURROGATE: _with_lone_surrogate,
}
"""Numbers are text in v1, so what is text for once in v2 is a number for once here."""

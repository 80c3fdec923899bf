"""The words of messages: what happened, since when, which account and days, what it means, what to do. Pure.

Causes hold no key, no personal data and no answers, and nothing else is put in here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from leads_pipeline.alerts.causes import LOUDNESS, Cause, Source
from leads_pipeline.alerts.due import Due, LackingDays, Stage, days_still_lacking
from leads_pipeline.days import IST
from leads_pipeline.indiamart.outcomes import AlertLevel, Outcome

_OVER = (Stage.RECOVERY, Stage.MISSED)
REPEATED = "(Perhaps a repeat: the program was stopped while it sent this message.)"


@dataclass(frozen=True)
class Message:
    """One message as people get it."""

    stage: Stage
    level: AlertLevel
    subject: str
    body: str


@dataclass(frozen=True)
class Circumstances:
    """What a message tells beside its causes."""

    now: datetime
    lacking: LackingDays
    ui_url: str | None = None
    """Address of Dagster's UI, for links to runs."""
    away_since: datetime | None = None
    """When alerts were last looked after, if that is long ago."""
    key_hints: Mapping[str, str] = field(default_factory=dict)
    """By account what to put where for it to have its key."""


def compose(dues: Sequence[Due], around: Circumstances) -> Message:
    """Return the message that says these things."""
    level = max((due.cause.level for due in dues), key=LOUDNESS.__getitem__)
    stages = {due.stage for due in dues}
    if len({(due.stage, due.cause.kind_name, due.cause.detail) for due in dues}) > 1:
        return _digest(dues, level, around)
    (stage,) = stages
    cause, accounts = dues[0].cause, _joined([due.cause.account for due in dues])
    subject = f"[leads] {_shout(stage, level)}: {cause.kind.title} ({accounts})"
    parts = [_head(stage, cause)]
    parts += [_about(due, around, with_name=len(dues) > 1) for due in dues]
    return Message(stage, level, subject, "\n\n".join(part for part in parts if part))


def _digest(dues: Sequence[Due], level: AlertLevel, around: Circumstances) -> Message:
    going_on = sum(due.stage not in _OVER for due in dues)
    subject = f"[leads] {len(dues)} alerts at once: {going_on} going on, {len(dues) - going_on} over"
    intro = f"{len(dues)} alerts in one message."
    if around.away_since:
        intro += f" Nobody looked after them from {moment(around.away_since)} to {moment(around.now)}."
    ordered = sorted(dues, key=lambda due: (due.stage in _OVER, -LOUDNESS[due.cause.level], due.cause.first_event_at))
    parts = [
        f"* {_shout(due.stage, due.cause.level)}: {due.cause.kind.title} ({due.cause.account})\n"
        f"{_head(due.stage, due.cause)}\n{_about(due, around, with_name=False)}"
        for due in ordered
    ]
    return Message(Stage.DIGEST, level, subject, "\n\n".join([intro, *parts]))


def _shout(stage: Stage, level: AlertLevel) -> str:
    name = level.value.upper()
    return {
        Stage.FIRST: name,
        Stage.WORSE: f"NOW {name}",
        Stage.REMINDER: f"STILL {name}",
        Stage.RECOVERY: "OVER",
        Stage.MISSED: "OVER ALREADY",
    }[stage]


def _head(stage: Stage, cause: Cause) -> str:
    return "" if stage in _OVER else cause.what


def _about(due: Due, around: Circumstances, *, with_name: bool) -> str:
    """Return the lines about one account."""
    cause = due.cause
    lines = [f"Account {cause.account}:"] if with_name else []
    lines.append(_when(due))
    if not with_name:
        lines.append(f"Account: {cause.account}.")
    if due.stage in _OVER:
        lines.append(_coverage(cause, around.lacking))
    elif cause.first_day and cause.last_day:
        lines.append(f"Days: {_days(cause)}.")
    if cause.kind_name == Outcome.KEY_REJECTED and due.stage not in _OVER and cause.account in around.key_hints:
        lines.append(f"The key of account {cause.account}: put {around.key_hints[cause.account]}.")
    lines.append(_answer(cause))
    if due.stage in (Stage.REMINDER, Stage.WORSE) or (due.stage is Stage.RECOVERY and due.held_back):
        lines.append(f"Held back since the last message: {due.held_back}.")
    if cause.run_id:
        lines.append(_run(cause.run_id, around.ui_url))
    lines.append(f"Alert {cause.cause_id}; all open ones: leads alerts list")
    return "\n".join(line for line in lines if line)


def _when(due: Due) -> str:
    cause = due.cause
    if due.stage in _OVER:
        return (
            f"Over. It began {moment(cause.first_event_at)} and lasted {length(cause.lasted)}, {_times(cause.count)}."
        )
    if cause.kind.source is Source.SILENCE:
        return f"Since {moment(cause.first_event_at)}."
    last = "" if cause.count == 1 else f", {_times(cause.count)}, last {moment(cause.last_event_at)}"
    return f"Since {moment(cause.first_event_at)}{last}."


def _coverage(cause: Cause, lacking: LackingDays) -> str:
    if cause.first_day is None or cause.last_day is None:
        return ""
    days = days_still_lacking(cause, lacking)
    if not days:
        return f"All its days that are past ({_days(cause)}) are fetched and merged."
    return (
        f"Of its days ({_days(cause)}), {len(days)} still lack, from {days[0]} to {days[-1]}: the gap sensor asks for "
        f"them if it is on, or `leads pull --account {cause.account} --from {days[0]} --to {days[-1]}`."
    )


def _answer(cause: Cause) -> str:
    facts = [
        f"{name} {value}" for name, value in (("CODE", cause.code), ("HTTP", cause.http_status)) if value is not None
    ]
    return f"Last answer: {', '.join(facts)}." if facts else ""


def _run(run_id: str, ui_url: str | None) -> str:
    return f"Run: {ui_url.rstrip('/')}/runs/{run_id}" if ui_url else f"Run: {run_id}"


def _days(cause: Cause) -> str:
    if cause.first_day == cause.last_day:
        return f"{cause.first_day}"
    return f"{cause.first_day} to {cause.last_day}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _joined(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} and {unique[-1]}"


def moment(when: datetime) -> str:
    """Return the moment as the clock in India shows it."""
    return f"{when.astimezone(IST):%d %b %Y %H:%M} IST"


def length(span: timedelta) -> str:
    """Return a length of time in words: `2 days 3 h`, `1 h 5 min`, `12 min`."""
    minutes = int(span.total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} {'day' if days == 1 else 'days'}{f' {hours} h' if hours else ''}"
    if hours:
        return f"{hours} h{f' {minutes} min' if minutes else ''}"
    return f"{minutes} min" if minutes else "less than a minute"

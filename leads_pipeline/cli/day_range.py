"""The days that people name by --from and --to: both included, in India."""

from datetime import date, timedelta

from leads_pipeline.cli.errors import USAGE, CommandError
from leads_pipeline.days import ONE_DAY, day_of, utc_now

_DEFAULT_LENGTH = timedelta(days=6)


def day_range(first: str | None, last: str | None, nothing: str) -> tuple[date, date]:
    """Return the first and last day; up to yesterday where --to lacks, a week where --from lacks.

    CommandError if a text is no day (YYYY-MM-DD) or the days are the wrong way round; `nothing` is the sentence that
    says then what was not done.
    """
    yesterday = day_of(utc_now()) - ONE_DAY
    try:
        end = date.fromisoformat(last) if last else yesterday
        start = date.fromisoformat(first) if first else end - _DEFAULT_LENGTH
    except ValueError:
        raise CommandError(
            f"--from {first} --to {last}: a day is written YYYY-MM-DD, for example {yesterday}.", USAGE
        ) from None
    if end < start:
        raise CommandError(f"--to {end} is before --from {start}. {nothing}", USAGE)
    return start, end

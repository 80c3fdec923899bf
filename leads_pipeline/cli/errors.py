"""What the command says and exits with when something goes wrong: 1 failed, 2 usage, 3 needs a person, 4 too early."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leads_pipeline.indiamart.outcomes import Outcome

FAILED, USAGE, NEEDS_A_PERSON, TOO_EARLY = 1, 2, 3, 4


class CommandError(Exception):
    """The command can't go on; the text says what happened and what to do."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def exit_code_of(outcome: "Outcome | None") -> int:
    """Return the code for a pull that failed of this outcome; None is one that could not ask at all."""
    from leads_pipeline.indiamart.outcomes import Actor  # here, for `leads --help` must not wait for it

    return NEEDS_A_PERSON if outcome is None or outcome.rule.actor is Actor.SELLER else FAILED


@contextmanager
def report_errors() -> Iterator[None]:
    """Print the program's own errors as text on standard error, and exit with their code."""
    try:
        yield
    except CommandError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        _stop("Stopped. Nothing is lost: the same command continues where it stopped.", FAILED)
    except Exception as error:
        from leads_pipeline.settings import SettingsError  # brings pydantic, which `leads --help` must not wait for

        if isinstance(error, SettingsError):
            _stop(str(error), USAGE)
        is_own = isinstance(error, RuntimeError) and type(error).__module__.startswith("leads_pipeline")
        if is_own or isinstance(error, OSError):  # the system's own words name paths, never a value
            _stop(str(error), FAILED)
        raise


def _stop(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)

"""The log of deliveries: one row for each call to a CRM, and one for each run, in the outbox's file."""

import sqlite3
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from leads_pipeline.delivery.crm import CallOutcome, CrmCall
from leads_pipeline.delivery.outbox_file import outbox_file, outbox_path
from leads_pipeline.delivery.outbox_rows import Attempt, DeliveryRun
from leads_pipeline.sqlite_files import from_epoch, immediate


class DeliveryLog:
    """The calls and runs of all destinations of an installation."""

    def __init__(self, state_dir: Path) -> None:
        self._path = outbox_path(state_dir)

    @property
    def exists(self) -> bool:
        """Tell whether anything was ever delivered here; asking makes no file."""
        return self._path.exists()

    def log_call(self, account: str, destination: str, run_id: str, call: CrmCall) -> None:
        """Enter a call in the log."""
        with self._open() as connection, immediate(connection):
            connection.execute(
                "INSERT INTO attempt (account, destination, run_id, method, sent_at, seconds, leads, http_status, "
                "outcome, reason, created, updated, failed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    *(account, destination, run_id, call.method, call.sent_at.timestamp(), call.seconds, call.rows),
                    *(call.http_status, call.outcome.value, call.reason, call.created, call.updated, call.failed),
                ),
            )

    def calls_after(self, attempt_id: int) -> list[Attempt]:
        """Return the later calls of the log, oldest first."""
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM attempt WHERE attempt_id > ? ORDER BY attempt_id", (attempt_id,))
            return [_to_attempt(row) for row in rows]

    def end_run(self, run: DeliveryRun) -> None:
        """Remember how a run ended."""
        with self._open() as connection, immediate(connection):
            connection.execute(
                "INSERT INTO delivery_run (account, destination, run_id, ended_at, stop, reason, done, failed, held, "
                "parked) VALUES (?,?,?,?,?,?,?,?,?,?)",
                (
                    *(run.account, run.destination, run.run_id, run.ended_at.timestamp(), run.stop, run.reason),
                    *(run.done, run.failed, run.held, run.parked),
                ),
            )

    def runs_after(self, number: int) -> list[DeliveryRun]:
        """Return how later runs ended, oldest first."""
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM delivery_run WHERE number > ? ORDER BY number", (number,))
            return [_to_run(row) for row in rows]

    def last_runs(self, account: str, destination: str, limit: int) -> list[DeliveryRun]:
        """Return how the destination's last runs ended, newest first."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT * FROM delivery_run WHERE account = ? AND destination = ? ORDER BY number DESC LIMIT ?",
                (account, destination, limit),
            )
            return [_to_run(row) for row in rows]

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return outbox_file(self._path)


def _to_attempt(row: sqlite3.Row) -> Attempt:
    call = CrmCall(
        method=row["method"],
        sent_at=datetime.fromtimestamp(row["sent_at"], UTC),
        seconds=row["seconds"],
        rows=row["leads"],
        http_status=row["http_status"],
        outcome=CallOutcome(row["outcome"]),
        reason=row["reason"],
        created=row["created"],
        updated=row["updated"],
        failed=row["failed"],
    )
    return Attempt(row["attempt_id"], row["account"], row["destination"], row["run_id"], call)


def _to_run(row: sqlite3.Row) -> DeliveryRun:
    return DeliveryRun(
        account=row["account"],
        destination=row["destination"],
        run_id=row["run_id"],
        ended_at=from_epoch(row["ended_at"]),
        stop=row["stop"],
        reason=row["reason"],
        done=row["done"],
        failed=row["failed"],
        held=row["held"],
        parked=row["parked"],
        number=row["number"],
    )

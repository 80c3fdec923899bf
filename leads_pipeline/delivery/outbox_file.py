"""The outbox's SQLite file and its tables."""

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path

from leads_pipeline.sqlite_files import sqlite_file

OUTBOX_NAME = "deliveries.sqlite"

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS delivery (
  account TEXT NOT NULL, destination TEXT NOT NULL, query_id TEXT NOT NULL,
  lead_date TEXT NOT NULL, query_time REAL NOT NULL, first_seen_at REAL NOT NULL,
  state TEXT NOT NULL, remote_id TEXT, record_key TEXT,
  content_hash TEXT NOT NULL, tried_hash TEXT NOT NULL, sent_hash TEXT,
  attempts INTEGER NOT NULL, last_error TEXT NOT NULL,
  first_delivered_at REAL, delivered_at REAL, last_attempt_at REAL, next_try_at REAL,
  activity TEXT NOT NULL DEFAULT '', activity_id TEXT,
  change INTEGER NOT NULL,
  PRIMARY KEY (account, destination, query_id)
);
CREATE INDEX IF NOT EXISTS delivery_by_key ON delivery (account, destination, record_key);
CREATE INDEX IF NOT EXISTS delivery_by_change ON delivery (change);
CREATE INDEX IF NOT EXISTS delivery_by_next_try ON delivery (account, destination, next_try_at)
  WHERE next_try_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS change (number INTEGER NOT NULL);
INSERT INTO change SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM change);
CREATE TABLE IF NOT EXISTS attempt (
  attempt_id INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL, destination TEXT NOT NULL, run_id TEXT NOT NULL,
  method TEXT NOT NULL, sent_at REAL NOT NULL, seconds REAL NOT NULL,
  leads INTEGER NOT NULL, http_status INTEGER, outcome TEXT NOT NULL, reason TEXT NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, failed INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS looked_at (
  account TEXT NOT NULL, destination TEXT NOT NULL, lead_date TEXT NOT NULL, stamp TEXT NOT NULL,
  PRIMARY KEY (account, destination, lead_date)
);
CREATE TABLE IF NOT EXISTS destination (
  account TEXT NOT NULL, destination TEXT NOT NULL, first_seen_on TEXT NOT NULL,
  PRIMARY KEY (account, destination)
);
CREATE TABLE IF NOT EXISTS delivery_run (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL, destination TEXT NOT NULL, run_id TEXT NOT NULL, ended_at REAL NOT NULL,
  stop TEXT NOT NULL, reason TEXT NOT NULL,
  done INTEGER NOT NULL, failed INTEGER NOT NULL, held INTEGER NOT NULL, parked INTEGER NOT NULL
)
"""


def outbox_path(state_dir: Path) -> Path:
    """Return the path of the file."""
    return state_dir / OUTBOX_NAME


def outbox_file(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    """Open the file, made at first use."""
    return sqlite_file(path, _SCHEMA, _SCHEMA_VERSION)

"""The SQL of the store, values bound. `incoming` is the Arrow table that the caller has registered."""

ATTACH = "ATTACH ? AS store (STORAGE_VERSION 'v1.0.0')"
"""Clients of all 1.x versions read that storage version; analysts' tools lag behind."""

MEMORY_BYTES = "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
SCHEMA_DIGEST = "SELECT schema_sha256 FROM publication"
BLOCKS = "SELECT total_blocks, used_blocks FROM pragma_database_size() WHERE database_name = 'store'"

KNOWN_ACCOUNTS = "SELECT DISTINCT account FROM pipeline.followed_files"
KNOWN_FILES = """
SELECT path, size, mtime_ns, inode, sha256, lead_date FROM pipeline.followed_files
WHERE kind = ? AND account = ?
"""
ADD_FILE = "INSERT INTO pipeline.followed_files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
RESTAMP_FILE = "UPDATE pipeline.followed_files SET size = ?, mtime_ns = ?, inode = ? WHERE path = ?"
DROP_FILE = "DELETE FROM pipeline.followed_files WHERE path = ?"
LEADS_PER_DAY = "SELECT account, lead_date, row_count FROM pipeline.followed_files WHERE kind = 'leads'"

ADD_QUARANTINE_SEEN = "INSERT INTO pipeline.quarantine_seen BY NAME SELECT * FROM incoming"
DROP_QUARANTINE_SEEN = "DELETE FROM pipeline.quarantine_seen WHERE account = ? AND response_id = ?"
CLEAR_QUARANTINE = "DELETE FROM quarantine"
FILL_QUARANTINE = """
INSERT INTO quarantine BY NAME
SELECT
  account,
  record_sha256,
  arg_max(reason, seen) AS reason,
  arg_max(record, seen) AS record,
  min(fetched_at) AS first_seen_at,
  max(fetched_at) AS last_seen_at,
  count(DISTINCT (response_id, response_position)) AS times_seen,
  arg_max(response_id, seen) AS response_id
FROM (SELECT *, (fetched_at, response_id, response_position) AS seen FROM pipeline.quarantine_seen)
GROUP BY account, record_sha256
ORDER BY account, record_sha256
"""

NEWEST_CALL = "SELECT coalesce(max(call_id), 0) FROM api_calls"
ADD_CALLS = """
INSERT INTO api_calls BY NAME
SELECT * FROM incoming WHERE call_id > (SELECT coalesce(max(call_id), 0) FROM api_calls) ORDER BY call_id
"""

COVERAGE_DIFFERENCES = """
SELECT count(*) FROM (
  (SELECT * FROM coverage EXCEPT ALL SELECT * FROM incoming)
  UNION ALL
  (SELECT * FROM incoming EXCEPT ALL SELECT * FROM coverage)
)
"""
CLEAR_COVERAGE = "DELETE FROM coverage"
ADD_COVERAGE = "INSERT INTO coverage BY NAME SELECT * FROM incoming ORDER BY account, lead_date"

ALERTS_DIFFERENCES = """
SELECT count(*) FROM (
  (SELECT * FROM alerts EXCEPT ALL SELECT * FROM incoming)
  UNION ALL
  (SELECT * FROM incoming EXCEPT ALL SELECT * FROM alerts)
)
"""
CLEAR_ALERTS = "DELETE FROM alerts"
ADD_ALERTS = "INSERT INTO alerts BY NAME SELECT * FROM incoming ORDER BY alert_id"

NEWEST_DELIVERY_CHANGE = "SELECT coalesce(max(change_number), 0) FROM deliveries"
DROP_CHANGED_DELIVERIES = """
DELETE FROM deliveries WHERE (account, destination, query_id) IN (SELECT (account, destination, query_id) FROM incoming)
"""
ADD_DELIVERIES = "INSERT INTO deliveries BY NAME SELECT * FROM incoming ORDER BY change_number"
NEWEST_DELIVERY_ATTEMPT = "SELECT coalesce(max(attempt_id), 0) FROM delivery_attempts"
ADD_DELIVERY_ATTEMPTS = "INSERT INTO delivery_attempts BY NAME SELECT * FROM incoming ORDER BY attempt_id"

PUBLISHED_VERSION = "SELECT version FROM publication"
CLEAR_PUBLICATION = "DELETE FROM publication"
ADD_PUBLICATION = "INSERT INTO publication VALUES (?, ?, ?, ?)"

COUNTS = "SELECT (SELECT count(*) FROM leads), (SELECT count(*) FROM quarantine), (SELECT count(*) FROM api_calls)"

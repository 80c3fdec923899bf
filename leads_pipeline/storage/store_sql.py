"""The SQL of the store, values bound. `incoming` is the Arrow table that the caller has registered."""

ATTACH = "ATTACH ? AS store (STORAGE_VERSION 'v1.0.0')"
"""Clients of all 1.x versions read that storage version; analysts' tools lag behind."""

SCHEMA_DIGEST = "SELECT schema_sha256 FROM publication"
BLOCKS = "SELECT total_blocks, used_blocks FROM pragma_database_size() WHERE database_name = 'store'"

LEADS_PER_DAY = "SELECT account, lead_date, row_count FROM pipeline.followed_files WHERE kind = 'leads'"

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

"""The SQL by which the store follows Parquet files, values bound. `incoming` is the Arrow table of the caller."""

KNOWN_ACCOUNTS = "SELECT DISTINCT account FROM pipeline.followed_files"
KNOWN_FILES = """
SELECT path, size, mtime_ns, inode, sha256, lead_date FROM pipeline.followed_files
WHERE kind = ? AND account = ?
"""
ADD_FILES = "INSERT INTO pipeline.followed_files BY NAME SELECT * FROM incoming ORDER BY path"
RESTAMP_FILE = "UPDATE pipeline.followed_files SET size = ?, mtime_ns = ?, inode = ? WHERE path = ?"
DROP_FILE = "DELETE FROM pipeline.followed_files WHERE path = ?"
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

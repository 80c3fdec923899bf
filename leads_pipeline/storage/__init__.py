"""Everything on disk: raw responses, Parquet, DuckDB, coverage; locks, journals, atomic writes."""

"""The source: what IndiaMART's API accepts, answers and allows. Knows neither Dagster nor the tables."""

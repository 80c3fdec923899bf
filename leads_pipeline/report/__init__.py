"""The report: facts read from the published database, drawn and written as one HTML page; knows nothing of Dagster.

facts.py says what is told, queries.py reads it, panels.py puts it into words with the drawings of figures.py, page.py
makes the page. Only columns without personal data are read.
"""

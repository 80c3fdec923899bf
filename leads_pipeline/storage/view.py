"""What a view of the DuckDB file is."""

from dataclasses import dataclass

from leads_pipeline.storage.tables import comment_statements


@dataclass(frozen=True)
class View:
    """A view of the DuckDB file: its query, and a comment for each column that the query gives, in its order."""

    name: str
    comment: str
    columns: dict[str, str]
    query: str

    @property
    def statements(self) -> list[str]:
        """Return the SQL that creates it with its comments, one statement each."""
        comments = comment_statements("VIEW", self.name, self.comment, self.columns)
        return [f"CREATE VIEW {self.name} AS {self.query.strip()}", *comments]

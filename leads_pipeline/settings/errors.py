"""The error of settings that can't be used."""

from collections.abc import Iterable


class SettingsError(Exception):
    """The settings can't be used; the text says which, why, and what to do. Holds no secret value."""

    def __init__(self, message: str, variables: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.variables = frozenset(variables)
        """The names of the variables at fault, where they are known."""

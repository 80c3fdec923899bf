"""What a call needs to be let in: the API's address, the key and, for v1, the seller's mobile number."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Access:
    """One seller's access to one API."""

    url: str
    key: str = field(repr=False)
    mobile: str = field(default="", repr=False)
    """The seller's mobile number, which stands in v1's address; empty for v2."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what no log, error or file may show."""
        return tuple(secret for secret in (self.key, self.mobile) if secret)

"""The versions of the API: each a module that asks and answers in its own way, with one client for all."""

from collections.abc import Mapping
from typing import Any, Protocol

from leads_pipeline.indiamart import v1, v2
from leads_pipeline.indiamart.access import Access
from leads_pipeline.indiamart.outcomes import Judgement
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.secret_values import SecretMasker

PUSH = "push"
"""What IndiaMART sends by itself; it asks nothing, and its answers have v2's form (contract: push)."""


class ApiVersion(Protocol):
    """How a version asks and answers; the modules `v1` and `v2` have these names."""

    SOURCE_API: str
    """The name that stored answers, the call log and leads carry."""
    DEFAULT_URL: str
    """IndiaMART's own address."""

    def address(self, access: Access, window: Window) -> str:
        """Return the address of the one GET that asks for the window; it holds the key."""
        ...

    def body_secrets(self, access: Access, body: bytes) -> tuple[str, ...]:
        """Return what is masked in an answer before it is stored."""
        ...

    def judge(self, body: bytes, http_status: int | None, masker: SecretMasker) -> Judgement:
        """Return what an answer means; the status is None where nobody knows it any more."""
        ...

    def records_of(self, body: bytes) -> list[Any]:
        """Return an answer's records as they came; raise reading.UnreadableAnswerError if it is no answer."""
        ...


API_VERSIONS: Mapping[str, ApiVersion] = {v1.SOURCE_API: v1, v2.SOURCE_API: v2}
"""The versions that can be asked, by name."""


def api_version(name: str) -> ApiVersion:
    """Return the version of that name, `v1` or `v2`; for `push` the one whose form it has."""
    return API_VERSIONS[v2.SOURCE_API if name == PUSH else name]

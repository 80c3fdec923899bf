"""Keeping what is looked up out of the HTTP library's logs: it stands in the URL, where keys never do."""

import logging
import re
from functools import cache

_LOGGER = "urllib3.connectionpool"
_QUERY = re.compile(r"(\.svc/[A-Za-z./]*)\?\S*")


class _QueryFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the queries of LeadSquared's calls in the record; never drop it."""
        message = record.getMessage()
        masked = _QUERY.sub(r"\1?***", message)
        if masked != message:
            record.msg, record.args = masked, ()
        return True


@cache
def mask_queries() -> None:
    """Mask the queries of LeadSquared's calls, from now on, in what the HTTP library logs."""
    logging.getLogger(_LOGGER).addFilter(_QueryFilter())

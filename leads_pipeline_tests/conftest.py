"""What holds for every test: the network ends at this machine."""

import sys
from typing import Any

from leads_pipeline_tests.support import refuse_other_machines


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        refuse_other_machines(arguments[1])
    elif event == "socket.getaddrinfo":
        refuse_other_machines((arguments[0], arguments[1]))


sys.addaudithook(_audit)

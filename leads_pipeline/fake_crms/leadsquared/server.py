"""The fake LeadSquared as a server that runs in a thread."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import uvicorn

from leads_pipeline.days import utc_now
from leads_pipeline.fake_crms.leadsquared.faults import RANDOM_FAULTS, Fault, FaultName
from leads_pipeline.fake_crms.leadsquared.fields import DEMO_CUSTOM, Field, Rules
from leads_pipeline.fake_crms.leadsquared.http_app import TransportProtocol, make_app
from leads_pipeline.fake_crms.leadsquared.service import Call, FakeService, Limit, Manners
from leads_pipeline.fake_crms.leadsquared.store import ActivityRecord, LeadStore, Record, UnknownId

# Shaped like real keys, dollar sign included; they open nothing but this server.
DEMO_ACCESS_KEY = "u$rdemo4f4bfee0ce729f3484d40a0ba10"
DEMO_SECRET_KEY = "demo9298d9dd0fce331d5863d25f9b65aa1"  # noqa: S105 - made up

DEMO_ACTIVITY_TYPES = {201: "Phone Call", 216: "IndiaMART Enquiry"}

CALLS, BULK_CALLS = Limit(10, 5.0), Limit(1, 5.0)
"""What most plans allow."""

_START_SECONDS = 10.0
_POLL_SECONDS = 0.002


class FakeLeadSquared:
    """A LeadSquared on this machine, as a context manager that runs it in a thread.

    Calls beyond `call_limit`, bulk calls beyond `bulk_limit` and calls beyond `calls_per_day` (of `clock`, UTC) are
    refused with `rate_status`. `custom` are its own fields; markup in values is refused with `refuses_markup`.
    `own_host` is another host that the keys belong to. `unknown_id` is what CreateOrUpdate makes of a ProspectId
    that no lead has. `port` 0 takes a free one.
    """

    def __init__(
        self,
        access_key: str = DEMO_ACCESS_KEY,
        secret_key: str = DEMO_SECRET_KEY,
        *,
        call_limit: Limit = CALLS,
        bulk_limit: Limit = BULK_CALLS,
        calls_per_day: int = 10_000,
        rate_status: int = 429,
        custom: Iterable[Field] = DEMO_CUSTOM,
        refuses_markup: bool = True,
        activity_types: Mapping[int, str] = DEMO_ACTIVITY_TYPES,
        own_host: str = "",
        unknown_id: UnknownId = "refused",
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.access_key, self.secret_key = access_key, secret_key
        self._host, self._port = host, port
        manners = Manners(
            access_key=access_key,
            secret_key=secret_key,
            calls=call_limit,
            bulk_calls=bulk_limit,
            calls_per_day=calls_per_day,
            rate_status=rate_status,
            own_host=own_host,
            activity_types=dict(activity_types),
        )
        rules = Rules(custom, refuses_markup=refuses_markup)
        self._service = FakeService(manners, rules, LeadStore(rules, clock, unknown_id), clock, monotonic)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Return the port that it listens on; 0 before the start if a free one was asked for."""
        return self._port

    @property
    def host(self) -> str:
        """Return the bare host with its port, as UserByAccessKey.Get tells it."""
        return f"{self._host}:{self._port}"

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        return f"http://{self.host}"

    @property
    def url(self) -> str:
        """Return what a destination's address is set to."""
        return self.origin

    @property
    def records(self) -> dict[str, Record]:
        """Return the leads by id, as they are now."""
        with self._service.lock:
            return self._service.store.records()

    @property
    def activities(self) -> tuple[ActivityRecord, ...]:
        """Return the activities, oldest first."""
        with self._service.lock:
            return tuple(self._service.store.activities)

    @property
    def created(self) -> int:
        """Return how many leads were ever created."""
        with self._service.lock:
            return self._service.store.created

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return the calls so far, oldest first, refused ones included."""
        return self._service.calls

    @property
    def limit_violations(self) -> int:
        """Return how many calls came beyond the limits."""
        return sum(call.refused for call in self._service.calls)

    def inject(self, fault: FaultName | str, times: int = 1, *, seconds: float = 1.0) -> None:
        """Let the next `times` calls that the limits allow meet the fault; `seconds` is how late slow_after is.

        A fault of rows waits for a bulk call. Raises ValueError for a fault that does not exist.
        """
        self._service.faults.add(Fault(FaultName(fault), seconds), times)

    def random_faults(
        self, seed: int, share: float, names: Sequence[FaultName] = RANDOM_FAULTS, *, seconds: float = 1.0
    ) -> None:
        """Let a share (0 to 1) of the calls meet one of the faults, drawn anew for each."""
        self._service.faults.at_random(seed, share, names, seconds)

    def clear_faults(self) -> None:
        """Let nothing go wrong from now on."""
        self._service.faults.clear()

    def edit(self, remote_id: str, **fields: str) -> None:
        """Change a lead as a sales person does; KeyError if there is none."""
        with self._service.lock:
            self._service.store.edit(remote_id, fields)

    def remove(self, remote_id: str) -> None:
        """Delete a lead as a sales person does; KeyError if there is none."""
        with self._service.lock:
            self._service.store.remove(remote_id)

    def add(self, **fields: str) -> str:
        """Type in a lead as a sales person does and return its id; ValueError if it is refused."""
        pairs = [{"Attribute": name, "Value": value} for name, value in fields.items()]
        with self._service.lock:
            row = self._service.store.create(pairs)
        if row.problem is not None:
            raise ValueError(f"the fake LeadSquared refuses the lead ({row.problem.type})")
        return row.remote_id

    def start(self) -> None:
        """Listen and answer in a thread; return when it answers. Raises OSError if the port is taken."""
        if self._thread is not None:
            raise RuntimeError("the server is running already")
        listener = socket.create_server((self._host, self._port))
        self._port = listener.getsockname()[1]
        self._service.host = self.host
        config = uvicorn.Config(
            make_app(self._service, self._is_stopping),
            http=TransportProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,  # its lines would hold URLs, and with them what was looked up
            timeout_graceful_shutdown=2,
        )
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, args=([listener],), name="fake-leadsquared", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the fake LeadSquared did not start")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop listening and free the port."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None

    def _is_stopping(self) -> bool:
        return self._server is None or self._server.should_exit

"""The fake SharpSpring as a server that runs in a thread."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import uvicorn

from leads_pipeline.days import utc_now
from leads_pipeline.fake_crms.sharpspring.answers import ErrorForm, SuccessForm
from leads_pipeline.fake_crms.sharpspring.faults import RANDOM_FAULTS, Fault, FaultName
from leads_pipeline.fake_crms.sharpspring.fields import DEMO_CUSTOM, Field, Rules
from leads_pipeline.fake_crms.sharpspring.http_app import API_PATH, TransportProtocol, make_app
from leads_pipeline.fake_crms.sharpspring.service import MOST_OBJECTS, ArrayLookups, Call, FakeService, Manners
from leads_pipeline.fake_crms.sharpspring.store import LeadStore, Record

# Shaped like real keys; they open nothing but this server.
DEMO_ACCOUNT_ID = "3_DEMOF4BF4FEE0CE729F3484D40A0BA10"
DEMO_SECRET_KEY = "DEMO9298D9DD0FCE331D5863D25F9B65"  # noqa: S105 - made up

DEFAULT_OWNER = "313486201"
OTHER_OWNER = "313486202"
_CAMPAIGN = "313500101"

_START_SECONDS = 10.0
_POLL_SECONDS = 0.002


class FakeSharpSpring:
    """A SharpSpring on this machine, as a context manager that runs it in a thread.

    Calls beyond `calls_per_second` (in any second) get 107, beyond `calls_per_day` (of `clock`, UTC) 106; more than
    `most_objects` in a call get 209. `custom` are its own fields, `refused_countries` get 215. `success_form` and
    `write_error_form` are how writes are answered, `arrays` what getLeads makes of several values in `where`. With
    `reassigns_owners` a lead that is updated without its owner goes to DEFAULT_OWNER. `port` 0 takes a free one.
    """

    def __init__(
        self,
        account_id: str = DEMO_ACCOUNT_ID,
        secret_key: str = DEMO_SECRET_KEY,
        *,
        calls_per_second: int = 10,
        calls_per_day: int = 50_000,
        most_objects: int = MOST_OBJECTS,
        custom: Iterable[Field] = DEMO_CUSTOM,
        refused_countries: Iterable[str] = (),
        success_form: SuccessForm = "boolean",
        write_error_form: ErrorForm = "list",
        arrays: ArrayLookups = "answered",
        reassigns_owners: bool = True,
        company_zone: str = "America/New_York",
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.account_id, self.secret_key = account_id, secret_key
        self._host, self._port = host, port
        manners = Manners(
            account_id=account_id,
            secret_key=secret_key,
            calls_per_second=calls_per_second,
            calls_per_day=calls_per_day,
            success_form=success_form,
            write_error_form=write_error_form,
            arrays=arrays,
            company_zone=ZoneInfo(company_zone),
            most_objects=most_objects,
        )
        rules = Rules(custom, frozenset(refused_countries), frozenset({DEFAULT_OWNER, OTHER_OWNER, _CAMPAIGN}))
        store = LeadStore(rules, clock, DEFAULT_OWNER, reassigns_owners=reassigns_owners)
        self._service = FakeService(manners, rules, store, clock, monotonic)
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
    def origin(self) -> str:
        """Return scheme, host and port."""
        return f"http://{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """Return the endpoint of v1.2."""
        return f"{self.origin}{API_PATH}"

    @property
    def records(self) -> dict[str, Record]:
        """Return the leads by id, as they are now."""
        with self._service.lock:
            return self._service.store.records()

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

        Raises ValueError for a fault that does not exist.
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
        with self._service.lock:
            row = self._service.store.create(fields)
            if row.id is None:
                raise ValueError("the fake SharpSpring refuses the lead")
            self._service.store.edit(str(row.id), fields)
            return str(row.id)

    def start(self) -> None:
        """Listen and answer in a thread; return when it answers. Raises OSError if the port is taken."""
        if self._thread is not None:
            raise RuntimeError("the server is running already")
        listener = socket.create_server((self._host, self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(self._service, self._is_stopping),
            http=TransportProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,  # its lines would hold URLs, and with them keys
            timeout_graceful_shutdown=2,
        )
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, args=([listener],), name="fake-sharpspring", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the fake SharpSpring did not start")
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

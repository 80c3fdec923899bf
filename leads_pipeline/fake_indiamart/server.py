"""The fake IndiaMART as a server: in a thread for tests, or blocking as a process of its own."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from types import FrameType, MappingProxyType, TracebackType
from typing import Self

import uvicorn

from leads_pipeline.days import utc_now
from leads_pipeline.fake_indiamart.dialects import V1Dialect
from leads_pipeline.fake_indiamart.faults import Fault, FaultName
from leads_pipeline.fake_indiamart.http_app import V1_PATH, V2_PATH, TransportProtocol, make_app
from leads_pipeline.fake_indiamart.keys import KeyRing
from leads_pipeline.fake_indiamart.rate_limit import RateLimiter
from leads_pipeline.fake_indiamart.service import Call, FakeService
from leads_pipeline.fake_indiamart.truth import TrueLead, TruthOptions

# Shaped like a real key (with / + =, which must be URL-encoded); it opens nothing but this server.
DEMO_KEY = "demo/Key+for-the-fake-IndiaMART=="
DEMO_V1_KEY = "demo/Key+for-the-fake-IndiaMART-v1=="
DEMO_MOBILE = "9000000999"
BLOCK_PER_INTERVAL = 3  # IndiaMART blocks for 15 minutes where calls must be 5 apart

_START_SECONDS = 10.0
_POLL_SECONDS = 0.002
_PARENT_POLL_SECONDS = 0.25


class FakeIndiaMart:
    """An IndiaMART on this machine that speaks v2 and v1, as a context manager that runs it in a thread.

    `seed` decides the leads, with `leads_per_day` on average. Calls with one key must be `interval_seconds`
    apart (0: no limit); hammering blocks the key for `block_seconds` (by default three intervals). `clock` is
    the server's wall clock (zone-aware): no lead is shown before its time, no call reaches back beyond 365
    days. `monotonic` is what intervals are measured with. `port` 0 takes a free one.

    `inclusive_end` includes the second that ends a window. `expired_keys` are refused as long unused, and with
    `unused_key_expires_after` so is any key that rested that long. With `key_made_at`, older leads are held
    back until 24 hours after it. `moving_share` and `changing_share` of the leads change after some time.

    `v1_keys` gives for each key that v1 takes the v2 key of the same seller, who has the same leads in both; v1 wants
    `mobile` beside it. In the share `v1_silence` of cases v1 answers `[]` where it could say why it has no leads.
    """

    def __init__(
        self,
        seed: int = 7,
        keys: Iterable[str] = (DEMO_KEY,),
        *,
        interval_seconds: float = 5.0,
        block_seconds: float | None = None,
        leads_per_day: float = 25.0,
        moving_share: float = 0.0,
        changing_share: float = 0.0,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        host: str = "127.0.0.1",
        port: int = 0,
        inclusive_end: bool = False,
        expired_keys: Iterable[str] = (),
        unused_key_expires_after: timedelta | None = None,
        key_made_at: datetime | None = None,
        v1_keys: Mapping[str, str] = MappingProxyType({}),
        mobile: str = DEMO_MOBILE,
        v1_silence: float = 0.5,
    ) -> None:
        self.keys = tuple(keys)
        self._clock = clock
        self._host = host
        self._port = port
        block = BLOCK_PER_INTERVAL * interval_seconds if block_seconds is None else block_seconds
        ring = KeyRing(
            self.keys,
            expired=expired_keys,
            unused_after=unused_key_expires_after,
            made_at=key_made_at,
            v1_keys=v1_keys,
            mobile=mobile,
        )
        self._v1 = V1Dialect(v1_silence)
        self._service = FakeService(
            seed,
            ring,
            RateLimiter(interval_seconds, block, monotonic),
            TruthOptions(leads_per_day, moving_share, changing_share),
            clock=clock,
            monotonic=monotonic,
            inclusive_end=inclusive_end,
        )
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
    def origin(self) -> str:
        """Return scheme, host and port, such as `http://127.0.0.1:8765`."""
        return f"http://{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """Return v2's full URL, to be given as INDIAMART_API_URL."""
        return f"{self.origin}{V2_PATH}"

    @property
    def v1_url(self) -> str:
        """Return the URL that v1's addresses begin with, to be given as INDIAMART_API_URL."""
        return f"{self.origin}{V1_PATH}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return the calls to both APIs so far, oldest first, refused ones included."""
        return self._service.calls

    @property
    def refused_calls(self) -> tuple[Call, ...]:
        """Return the calls that the rules refused: 400, 401 and 429 that no injected fault made."""
        return tuple(call for call in self._service.calls if call.refused)

    def start(self) -> None:
        """Listen and answer in a thread; return when the server answers. Raises OSError if the port is taken."""
        if self._thread is not None:
            raise RuntimeError("the server is running already")
        listener = socket.create_server((self._host, self._port))
        self._port = listener.getsockname()[1]
        app = make_app(self._service, self.keys, self._is_stopping, self._v1)
        config = uvicorn.Config(
            app,
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
        self._thread = threading.Thread(target=server.run, args=([listener],), name="fake-indiamart", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the fake IndiaMART did not start")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop listening, let the calls in progress end, and free the port."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None

    def inject(
        self,
        fault: Fault | FaultName | str,
        times: int = 1,
        *,
        seconds: float | None = None,
        location: str | None = None,
    ) -> None:
        """Let the next `times` calls that the rules allow meet this fault, after the faults injected before.

        `seconds` is for slow (wait) and trickle (spread), `location` for redirect. hard_429 also blocks the key.
        Raises ValueError for a fault that does not exist.
        """
        chosen = fault if isinstance(fault, Fault) else Fault(FaultName(fault))
        chosen = Fault(
            chosen.name,
            chosen.seconds if seconds is None else seconds,
            chosen.location if location is None else location,
        )
        self._service.faults.add(chosen, times)

    def clear_faults(self) -> None:
        """Forget the injected faults that no call has met yet."""
        self._service.faults.clear()

    def replace_key(self, old: str, new: str) -> None:
        """Generate a new key for the old one's seller: the old one is refused, the new one is made now."""
        self._service.keys.replace(old, new, self._clock())

    def truth(
        self, first_day: date, last_day: date, *, key: str | None = None, as_of: datetime | None = None
    ) -> tuple[TrueLead, ...]:
        """Return the leads of the days, both included, as a call at `as_of` (default: the server's now) shows them.

        The seller is that of the key, by default of the first key.
        """
        seller = self._service.keys.seller(key or self.keys[0])
        return self._service.truth(seller, first_day, last_day, as_of=as_of)

    def _is_stopping(self) -> bool:
        return self._server is None or self._server.should_exit


def serve(
    server: FakeIndiaMart,
    *,
    parent_pid: int | None = None,
    on_ready: Callable[[FakeIndiaMart], None] | None = None,
) -> None:
    """Run the server until SIGTERM or SIGINT, or until the process `parent_pid` is gone; then stop it cleanly.

    `on_ready` is called once the server answers. Signals are handled only when called in the main thread.
    """
    stop = threading.Event()
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    if in_main_thread:
        for number in handlers:
            signal.signal(number, request_stop)
    is_child = parent_pid is not None and os.getppid() == parent_pid
    try:
        with server:
            if on_ready is not None:
                on_ready(server)
            while not stop.wait(_PARENT_POLL_SECONDS):
                if parent_pid is not None and not _is_alive(parent_pid, is_child=is_child):
                    break
    finally:
        if in_main_thread:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _is_alive(pid: int, *, is_child: bool) -> bool:
    if is_child:  # also right while a dead parent waits to be reaped
        return os.getppid() == pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

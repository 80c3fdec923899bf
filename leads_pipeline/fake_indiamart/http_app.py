"""The server's HTTP side: the APIs' paths, the controls under `/_fake/`, and delivery that can go wrong."""

import asyncio
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from leads_pipeline.fake_indiamart.answers import Answer
from leads_pipeline.fake_indiamart.dialects import Question, V1Dialect, V2Dialect
from leads_pipeline.fake_indiamart.faults import Fault, FaultName
from leads_pipeline.fake_indiamart.service import Call, FakeService
from leads_pipeline.fake_indiamart.truth import TrueLead

V2_PATH = "/wservce/crm/crmListing/v2/"
V1_PATH = "/wservce/enquiry/listing/"
CONTROL_PATH = "/_fake"
_TRANSPORT = "fake_indiamart.transport"
_NOT_FOUND_PAGE = "<html><body><h1>Not Found</h1></body></html>"
_TRICKLE_PIECES = 20
_PAUSE_SECONDS = 0.05
_V1_NAMES = ("GLUSR_MOBILE", "GLUSR_MOBILE_KEY", "Start_Time", "End_Time")
_RESET_INSTEAD_OF_CLOSE = struct.pack("ii", 1, 0)


class TransportProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with the connection handed to the application, which may break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the connection into the scope of every request that comes over it."""
        super().connection_made(transport)
        application: ASGIApp = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_TRANSPORT] = transport
            await application(scope, receive, send)

        self.app = with_transport


def make_app(service: FakeService, sellers: tuple[str, ...], stopping: Callable[[], bool], v1: V1Dialect) -> Starlette:
    """Return the application: both APIs and the controls.

    `sellers` are those that `/_fake/truth` can be asked about by position; `stopping` ends slow deliveries.
    """
    controls = _Controls(service, sellers)
    app = Starlette(
        routes=[
            Route(V2_PATH, _V2Endpoint(service, stopping)),
            Route(f"{V1_PATH}{{steps:path}}", _V1Endpoint(service, stopping, v1)),
            Route(f"{CONTROL_PATH}/health", controls.health),
            Route(f"{CONTROL_PATH}/calls", controls.calls),
            Route(f"{CONTROL_PATH}/faults", controls.faults, methods=["GET", "POST", "DELETE"]),
            Route(f"{CONTROL_PATH}/truth", controls.truth),
        ],
        exception_handlers={404: _not_found},
    )
    app.router.redirect_slashes = False
    return app


class _Endpoint(ABC):
    """Delivers answers; how a request is read is its subclasses' part."""

    def __init__(self, service: FakeService, stopping: Callable[[], bool]) -> None:
        self._service = service
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await Response("Method Not Allowed", 405)(scope, receive, send)
            return
        answer = self._answer(scope)
        if answer is None:
            await HTMLResponse(_NOT_FOUND_PAGE, 404)(scope, receive, send)
            return
        await self._deliver(answer, scope[_TRANSPORT], receive, send)

    @abstractmethod
    def _answer(self, scope: Scope) -> Answer | None:
        """Return the API's answer, or None where the request has not its form."""

    async def _deliver(self, answer: Answer, transport: asyncio.Transport, receive: Receive, send: Send) -> None:
        delivery = answer.delivery
        await self._pause(delivery.wait_seconds)
        if delivery.reset:
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_INSTEAD_OF_CLOSE)
            transport.abort()
            await _until_disconnected(receive)
            return
        body = answer.encoded()
        headers = [
            ("content-type", answer.content_type),
            ("content-length", str(len(body))),
            *answer.headers,
        ]
        encoded_headers = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": answer.http_status, "headers": encoded_headers})
        if delivery.fraction_sent < 1:
            part = body[: int(len(body) * delivery.fraction_sent)]
            await send({"type": "http.response.body", "body": part, "more_body": True})
            transport.close()
            await _until_disconnected(receive)
            return
        if delivery.spread_seconds:
            size = len(body) // _TRICKLE_PIECES + 1
            while len(body) > size:
                await send({"type": "http.response.body", "body": body[:size], "more_body": True})
                body = body[size:]
                await self._pause(delivery.spread_seconds / _TRICKLE_PIECES)
        await send({"type": "http.response.body", "body": body})

    async def _pause(self, seconds: float) -> None:
        while seconds > 0 and not self._stopping():
            await asyncio.sleep(min(seconds, _PAUSE_SECONDS))
            seconds -= _PAUSE_SECONDS


class _V2Endpoint(_Endpoint):
    """Answers `GET /wservce/crm/crmListing/v2/?glusr_crm_key=..&start_time=..&end_time=..`."""

    def _answer(self, scope: Scope) -> Answer | None:
        text = scope["query_string"].decode("latin-1")
        # As a form: an unescaped + in a key reads as a space, as it does at IndiaMART.
        query = dict(parse_qsl(text, keep_blank_values=True))
        question = Question(query.get("glusr_crm_key", ""), query, f"{V2_PATH}?{text}")
        return self._service.answer(question, V2Dialect())


class _V1Endpoint(_Endpoint):
    """Answers `GET /wservce/enquiry/listing/GLUSR_MOBILE/../GLUSR_MOBILE_KEY/../Start_Time/../End_Time/../`."""

    def __init__(self, service: FakeService, stopping: Callable[[], bool], dialect: V1Dialect) -> None:
        super().__init__(service, stopping)
        self._dialect = dialect

    def _answer(self, scope: Scope) -> Answer | None:
        address = scope["raw_path"].decode("latin-1")  # still encoded: a key can hold what divides a path
        steps = address.removeprefix(V1_PATH).removesuffix("/").split("/")
        if tuple(steps[::2]) != _V1_NAMES or len(steps) != 2 * len(_V1_NAMES):
            return None
        mobile, key, start, end = (unquote(step) for step in steps[1::2])
        question = Question(key, {"start_time": start, "end_time": end}, address, mobile)
        return self._service.answer(question, self._dialect)


class _Controls:
    """What other processes ask of the server beside the API."""

    def __init__(self, service: FakeService, sellers: tuple[str, ...]) -> None:
        self._service = service
        self._sellers = sellers

    async def health(self, _request: Request) -> Response:
        """Answer who this is, the seed, and how many calls were made and refused."""
        calls = self._service.calls
        refused = sum(call.refused for call in calls)
        body = {"name": "fake-indiamart", "seed": self._service.seed, "calls": len(calls), "refused": refused}
        return JSONResponse(body)

    async def calls(self, _request: Request) -> Response:
        """Answer the call log."""
        return JSONResponse([_call_as_json(call) for call in self._service.calls])

    async def faults(self, request: Request) -> Response:
        """List the faults to come (GET), forget them (DELETE) or append some (POST with fault, times, ...)."""
        if request.method == "DELETE":
            self._service.faults.clear()
        if request.method == "POST":
            try:
                self._service.faults.add(*_fault_from_json(await request.json()))
            except (KeyError, TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse([asdict(fault) for fault in self._service.faults.pending()])

    async def truth(self, request: Request) -> Response:
        """Answer the leads of the days `start` to `end` (YYYY-MM-DD, both included).

        They are shown as of `as_of` (ISO 8601 with a zone; default now), of the seller at position `seller`
        (default 0).
        """
        parameters = request.query_params
        try:
            first, last = date.fromisoformat(parameters["start"]), date.fromisoformat(parameters["end"])
            as_of = datetime.fromisoformat(parameters["as_of"]) if "as_of" in parameters else None
            seller = self._sellers[int(parameters.get("seller", "0"))]
        except (IndexError, KeyError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        leads = self._service.truth(seller, first, last, as_of=as_of)
        return JSONResponse({"leads": [lead_as_json(lead) for lead in leads]})


def lead_as_json(lead: TrueLead) -> dict[str, object]:
    """Return the lead as `/_fake/truth` writes it."""
    return {
        "query_id": lead.query_id,
        "query_type": lead.query_type,
        "query_time": lead.query_time.isoformat(),
        "available_from": lead.available_from.isoformat(),
        "fields": dict(lead.fields),
        "extra": dict(lead.extra),
    }


def _call_as_json(call: Call) -> dict[str, object]:
    values = asdict(call) | {"refused": call.refused}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def _fault_from_json(body: dict[str, object]) -> tuple[Fault, int]:
    options = dict(body)
    name = FaultName(str(options.pop("fault")))
    times = int(str(options.pop("times", 1)))
    fault = Fault(name)
    if "seconds" in options:
        fault = Fault(name, seconds=float(str(options.pop("seconds"))))
    if "location" in options:
        fault = Fault(name, seconds=fault.seconds, location=str(options.pop("location")))
    if options:
        raise ValueError(f"unknown options: {', '.join(sorted(options))}")
    return fault, times


async def _not_found(_request: Request, _error: Exception) -> Response:
    return HTMLResponse(_NOT_FOUND_PAGE, 404)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

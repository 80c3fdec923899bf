"""The fake's HTTP side: the API's paths, the controls under `/_fake/`, and delivery that can go wrong."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from leads_pipeline.fake_crms.sharpspring.answers import Answer
from leads_pipeline.fake_crms.sharpspring.faults import Fault, FaultName
from leads_pipeline.fake_crms.sharpspring.service import FakeService, Question

API_PATH = "/pubapi/v1.2/"
OLD_API_PATH = "/pubapi/v1/"
CONTROL_PATH = "/_fake"
_TRANSPORT = "fake_sharpspring.transport"
_PAUSE_SECONDS = 0.02
_RESET_INSTEAD_OF_CLOSE = struct.pack("ii", 1, 0)


class TransportProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with the connection handed to the application, which may break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the connection into the scope of every request that comes over it."""
        super().connection_made(transport)
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each kept connection waits 40 ms a call
        application: ASGIApp = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_TRANSPORT] = transport
            await application(scope, receive, send)

        self.app = with_transport


def make_app(service: FakeService, stopping: Callable[[], bool]) -> Starlette:
    """Return the application; `stopping` ends slow deliveries."""
    endpoint = _Endpoint(service, stopping)
    controls = _Controls(service)
    app = Starlette(
        routes=[
            Route(API_PATH, endpoint),
            Route(OLD_API_PATH, endpoint),
            Route(f"{CONTROL_PATH}/health", controls.health),
            Route(f"{CONTROL_PATH}/calls", controls.calls),
            Route(f"{CONTROL_PATH}/records", controls.records),
            Route(f"{CONTROL_PATH}/faults", controls.faults, methods=["GET", "POST", "DELETE"]),
        ]
    )
    app.router.redirect_slashes = False
    return app


class _Endpoint:
    """Answers `POST /pubapi/v1.2/?accountID=..&secretKey=..`."""

    def __init__(self, service: FakeService, stopping: Callable[[], bool]) -> None:
        self._service, self._stopping = service, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await Response("Method Not Allowed", 405)(scope, receive, send)
            return
        request = Request(scope, receive)
        question = Question(
            path=scope["path"],
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=await request.body(),
        )
        await self._deliver(self._service.answer(question), scope[_TRANSPORT], receive, send)

    async def _deliver(self, answer: Answer, transport: asyncio.Transport, receive: Receive, send: Send) -> None:
        waited = 0.0
        while waited < answer.wait_seconds and not self._stopping() and not transport.is_closing():
            await asyncio.sleep(_PAUSE_SECONDS)
            waited += _PAUSE_SECONDS
        if answer.reset:
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_INSTEAD_OF_CLOSE)
            transport.abort()
            await _until_disconnected(receive)
            return
        body = answer.body.encode()
        headers = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": answer.http_status, "headers": headers})
        if answer.fraction_sent < 1:
            part = body[: int(len(body) * answer.fraction_sent)]
            await send({"type": "http.response.body", "body": part, "more_body": True})
            transport.close()
            await _until_disconnected(receive)
            return
        await send({"type": "http.response.body", "body": body})


class _Controls:
    """What other processes ask of the server beside the API."""

    def __init__(self, service: FakeService) -> None:
        self._service = service

    async def health(self, _request: Request) -> Response:
        """Answer who this is, and how many calls were made and refused by the limits."""
        calls = self._service.calls
        refused = sum(call.refused for call in calls)
        return JSONResponse({"name": "fake-sharpspring", "calls": len(calls), "limit_violations": refused})

    async def calls(self, _request: Request) -> Response:
        """Answer the calls, oldest first."""
        return JSONResponse([{**asdict(call), "at": call.at.isoformat()} for call in self._service.calls])

    async def records(self, _request: Request) -> Response:
        """Answer the leads by id."""
        with self._service.lock:
            records = self._service.store.records()
        shown = {
            one.id: {
                "fields": dict(one.fields),
                "created_at": one.created_at.isoformat(),
                "updated_at": one.updated_at.isoformat(),
                "modified": one.modified,
            }
            for one in records.values()
        }
        return JSONResponse(shown)

    async def faults(self, request: Request) -> Response:
        """List the faults to come (GET), forget them (DELETE) or append some (POST with fault, times, seconds)."""
        if request.method == "DELETE":
            self._service.faults.clear()
        if request.method == "POST":
            try:
                body = await request.json()
                fault = Fault(FaultName(body["fault"]), float(body.get("seconds", 1.0)))
                self._service.faults.add(fault, int(body.get("times", 1)))
            except (KeyError, TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse([asdict(fault) for fault in self._service.faults.pending()])


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

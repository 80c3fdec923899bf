"""Where the tests' messages arrive: a real SMTP server and a real webhook on this machine, which can be down."""

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from unittest.mock import patch

PASSWORD = "canary-Password-9f3A"
"""Stands in every address as its secret."""


@dataclass(frozen=True)
class Received:
    """A message as it arrived."""

    subject: str
    body: str


@dataclass
class Mailbox:
    """One server and what arrived at it."""

    url: str = ""
    is_down: bool = False
    received: list[Received] = field(default_factory=list)
    attempts: int = 0

    @property
    def subjects(self) -> list[str]:
        return [message.subject for message in self.received]


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        mailbox: Mailbox = self.server.mailbox  # type: ignore[attr-defined]
        mailbox.attempts += 1
        if mailbox.is_down:
            return
        self._say("220 test")
        while line := self.rfile.readline().strip().upper():
            if line == b"DATA":
                self._say("354 go on")
                mailbox.received.append(_mail(self._data()))
            self._say("221 bye" if line == b"QUIT" else "250 fine")
            if line == b"QUIT":
                return

    def _data(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def _mail(data: bytes) -> Received:
    message = cast(EmailMessage, email.message_from_bytes(data, policy=email.policy.default))  # type: ignore[arg-type]
    body = message.get_body(("plain", "html"))
    assert body is not None
    return Received(str(message["Subject"]), str(body.get_content()).replace("\r\n", "\n").strip())


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        mailbox: Mailbox = self.server.mailbox  # type: ignore[attr-defined]
        mailbox.attempts += 1
        said: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not mailbox.is_down:
            mailbox.received.append(Received(said["title"], said["message"]))
        self.send_response(503 if mailbox.is_down else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def smtp_server() -> Iterator[Mailbox]:
    """Run an SMTP server.

    Who sends to it neither looks up this machine's name, which may take seconds offline, nor rests 5.5 seconds
    between two mails, as Apprise does out of courtesy.
    """
    with (
        _running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp)) as (mailbox, port),
        patch("socket.getfqdn", return_value="localhost"),
        patch("apprise.url.URLBase.request_rate_per_sec", 0),
        patch("apprise.plugins.base.NotifyBase.request_rate_per_sec", 0),
    ):
        mailbox.url = f"mailto://127.0.0.1:{port}/?from=leads@example.org&to={PASSWORD}@example.org&mode=insecure"
        yield mailbox


@contextmanager
def webhook() -> Iterator[Mailbox]:
    with _running(ThreadingHTTPServer(("127.0.0.1", 0), _Hook)) as (mailbox, port):
        mailbox.url = f"json://127.0.0.1:{port}/{PASSWORD}"
        yield mailbox


@contextmanager
def _running(server: socketserver.TCPServer) -> Iterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    server.mailbox = mailbox  # type: ignore[attr-defined]
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield mailbox, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)

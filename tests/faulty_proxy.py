"""A proxy on loopback that gets in the way of an HTTP server: errors, cut bodies, lost answers, delays."""

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["status", "cut body", "lost answer", "delay", "no answer"]

_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "expect"}


@dataclass
class Trouble:
    """What happens to requests, and to which."""

    kind: Kind
    """An error instead of an answer; an answer that ends in the middle of its body; an answer that is lost after the server did what it
    was asked; one that comes late; a connection that is closed before the server hears of it."""
    requests: str = ""
    """Regular expression that method and path are searched for: "GET .*tar"."""
    times: int | None = None
    """Requests that it happens to; all if none is given."""
    status: int = 503
    seconds: float = 0.0
    """Of delay."""
    hits: int = 0
    """Requests that it happened to."""


class FaultyProxy:
    """Passes everything on to ``target`` unless told otherwise."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self._troubles: list[Trouble] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def in_trouble(self, trouble: Trouble) -> Iterator[Trouble]:
        """Until the context ends."""
        self.begin(trouble)
        try:
            yield trouble
        finally:
            self._end(trouble)

    def trouble_for(self, seconds: float, trouble: Trouble) -> None:
        """Begin at once, and end by itself."""
        self.begin(trouble)
        end = threading.Timer(seconds, self._end, [trouble])
        end.daemon = True
        end.start()

    def begin(self, trouble: Trouble) -> None:
        """Until :meth:`heal`."""
        with self._lock:
            self._troubles.append(trouble)

    def heal(self) -> None:
        """End all troubles; a timer may be about to end one of them too."""
        with self._lock:
            self._troubles.clear()

    def _end(self, trouble: Trouble) -> None:
        with self._lock:
            self._troubles = [other for other in self._troubles if other is not trouble]

    def next_trouble(self, request: str) -> Trouble | None:
        """The first one that a request runs into, counted."""
        with self._lock:
            for trouble in self._troubles:
                if (trouble.times is None or trouble.hits < trouble.times) and re.search(trouble.requests, request):
                    trouble.hits += 1
                    return trouble
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        trouble = self.proxy.next_trouble(f"{self.command} {self.path}")
        match trouble:
            case Trouble(kind="status"):
                self._answer(trouble.status, {"Content-Type": "application/xml"}, _error(trouble.status))
                return
            case Trouble(kind="no answer"):
                self.close_connection = True
                return
            case Trouble(kind="delay"):
                time.sleep(trouble.seconds)
        status, headers, content = self._ask(body)
        match trouble:
            case Trouble(kind="lost answer"):
                self.close_connection = True
            case Trouble(kind="cut body"):
                self._answer(status, headers, content, sent=len(content) // 2)
            case _:
                self._answer(status, headers, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = http.client.HTTPConnection(self.proxy.target.hostname or "", self.proxy.target.port, timeout=60)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}, content

    def _answer(self, status: int, headers: dict[str, str], content: bytes, sent: int | None = None) -> None:
        """``sent`` bytes of the body, and then the end of the connection; all by default."""
        self.send_response_only(status)
        length = str(len(content))
        for name, value in {"Content-Length": length, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])
        if sent is not None:
            self.wfile.flush()
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Silence."""


def _error(status: int) -> bytes:
    code = "SlowDown" if status == 503 else "InternalError"
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>in trouble</Message></Error>'.encode()

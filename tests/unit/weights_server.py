"""A stand-in for the server that publishes weights, on this machine only."""

import hashlib
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch


def published_file(state: dict[str, torch.Tensor], stem: str = "resnet18") -> tuple[str, bytes]:
    """Name and bytes of a .pth file, named by its checksum as torchvision's are."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.pth", content


class WeightsServer(ThreadingHTTPServer):
    """Serves one file; `faults` says, request by request, what goes wrong (None: nothing).

    Faults: a number of bytes after which the connection ends; ``("stall", bytes)``, after which
    nothing comes; ``"silent"``, no answer at all; ``"no ranges"``, which are ignored; ``"404"``;
    ``("wait", seconds)`` before the answer.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.faults: list[object] = []
        self.asked: list[tuple[str, str | None]] = []  # address and Range of each request
        self.closing = threading.Event()
        self.counting = threading.Lock()
        self.busy = self.busiest = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: WeightsServer

    def do_GET(self) -> None:
        server = self.server
        with server.counting:
            server.asked.append((self.path, self.headers["Range"]))
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
            fault = server.faults.pop(0) if server.faults else None
        try:
            self.answer(fault)
        except (BrokenPipeError, ConnectionResetError):
            pass  # who asked has given up
        finally:
            with server.counting:
                server.busy -= 1

    def answer(self, fault: object) -> None:
        kind, amount = fault if isinstance(fault, tuple) else (fault, 0)
        content, start = self.server.content, 0
        if kind == "silent":
            self.server.closing.wait(10)
            return
        if kind == "404":
            self.send_error(404)
            return
        if kind == "wait":
            time.sleep(amount)
        asked = self.headers["Range"]
        if asked and kind != "no ranges":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if isinstance(fault, int):
            self.wfile.write(content[start : start + fault])
            return
        if kind == "stall":
            self.wfile.write(content[start : start + amount])
            self.wfile.flush()
            self.server.closing.wait(10)
            return
        self.wfile.write(content[start:])

    def log_message(self, *_: object) -> None:
        """Nothing into the tests' output."""


@contextmanager
def weights_server(content: bytes) -> Iterator[WeightsServer]:
    """A server of `content`, running as long as this lasts."""
    server = WeightsServer(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


PROXY_VARIABLES = [
    name
    for key in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in (key, key.upper())
]

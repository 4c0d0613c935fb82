"""Serve the page on localhost: ``python -m workflow_scripts.cxrcam.viewer.serve FOLDER``."""

import argparse
import re
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore
from typing import BinaryIO, Final
from urllib.parse import unquote

from workflow_scripts.cxrcam.errors import InputError

LOCALHOST: Final = "127.0.0.1"
_PORT: Final = 8800
_MOST_REQUESTS: Final = 8  # at a time; a page asks for six


def content_policy(page: str) -> str:
    """The Content-Security-Policy that a page states, and that nobody may frame it."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    if found is None:
        raise ValueError("the page states no Content-Security-Policy")
    return f"{found[1]}; frame-ancestors 'none'"


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, each under the policy of the page."""

    timeout = 30  # seconds that a silent client may hold a thread
    # Not what the machine's own tables say, which can lack both.
    extensions_map = {  # noqa: RUF012  (as the class above has it)
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, *arguments: object, policy: str, **named: object) -> None:
        self._policy = policy
        super().__init__(*arguments, **named)  # type: ignore[arg-type]

    def end_headers(self) -> None:
        """Add the headers that every answer has."""
        self.send_header("Content-Security-Policy", self._policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def send_head(self) -> BinaryIO | None:  # type: ignore[override]
        """Refuse what the page itself never asks for, before any file is opened."""
        # Another name for this machine is a foreign page's trick to read files (DNS rebinding).
        port = self.server.server_address[1]  # type: ignore[index]
        if self.headers.get("Host") not in {f"{name}:{port}" for name in (LOCALHOST, "localhost")}:
            self.send_error(421)
        elif not unquote(self.path).isprintable():
            self.send_error(400)
        elif Path(self.directory).resolve() / self._within() != Path(self._file()).resolve():
            self.send_error(404)  # a link leads elsewhere
        else:
            return super().send_head()  # type: ignore[return-value]
        return None

    def _file(self) -> str:
        return self.translate_path(self.path)

    def _within(self) -> Path:
        return Path(self._file()).relative_to(self.directory)

    def list_directory(self, path: object) -> None:  # type: ignore[override]
        """No listings."""
        self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of requests."""


class _Server(ThreadingHTTPServer):
    """Answers a few requests at a time, and says nothing of clients that leave."""

    def __init__(self, *arguments: object) -> None:
        self._free = BoundedSemaphore(_MOST_REQUESTS)
        super().__init__(*arguments)  # type: ignore[arg-type]

    def process_request(self, request: object, client_address: object) -> None:  # type: ignore[override]
        """Wait for a free thread."""
        self._free.acquire()
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:  # type: ignore[override]
        """Answer, and free the thread."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:  # type: ignore[override]
        """Print what is a fault of ours only."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def make_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """Server of a built page on this machine's own address.

    Port 0 takes a free one: ``server_address[1]`` tells which. Without a page, or where the port is
    taken, this is an `InputError`.
    """
    page = folder / "index.html"
    if not page.is_file():
        raise InputError(f"There is no page in {str(folder)!r}: make it with `snakemake viewer`.")
    handler = partial(
        _Handler, directory=str(folder), policy=content_policy(page.read_text(encoding="utf-8"))
    )
    try:
        return _Server((LOCALHOST, port), handler)
    except OSError as error:
        raise InputError(
            f"Port {port} cannot be used ({error.strerror}): choose another one by --port."
        ) from None


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the viewer to this machine only.")
    parser.add_argument("folder", type=Path, help="such as results/demo/viewer")
    parser.add_argument("--port", type=int, default=_PORT)
    chosen = parser.parse_args()
    try:
        server = make_server(chosen.folder, chosen.port)
    except InputError as error:
        parser.exit(1, f"{error}\n")
    with server:
        print(f"Open http://{LOCALHOST}:{server.server_address[1]}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()

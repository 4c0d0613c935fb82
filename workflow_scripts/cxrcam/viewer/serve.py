"""Serve the page on localhost: ``python -m workflow_scripts.cxrcam.viewer.serve FOLDER``."""

import argparse
import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.errors import InputError

LOCALHOST: Final = "127.0.0.1"
_PORT: Final = 8800


def content_policy(page: str) -> str:
    """The Content-Security-Policy that a page states, and that nobody may frame it."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    if found is None:
        raise ValueError("the page states no Content-Security-Policy")
    return f"{found[1]}; frame-ancestors 'none'"


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, each under the policy of the page."""

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

    def list_directory(self, path: object) -> None:  # type: ignore[override]
        """No listings."""
        self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of requests."""


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
        return ThreadingHTTPServer((LOCALHOST, port), handler)
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

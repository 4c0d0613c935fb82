"""Published weights, fetched over the network: resumed where they were cut off, and verified."""

import http.client
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from workflow_scripts.cxrcam.networks.weights.files import WeightsError, file_checksum

CHECKSUM_IN_NAME: Final = re.compile(r"-([0-9a-f]{8,64})\.pth$")
BLOCK: Final = 1 << 16  # bytes
ATTEMPTS: Final = 3  # within one call, where the connection is cut off
TIMEOUT: Final = 20.0  # seconds to wait for a connection, and for each next byte
PAUSE: Final = 1.0  # seconds before another attempt


class DownloadError(WeightsError):
    """A published file cannot be fetched.

    Its `reason` is one sentence without its full stop, for who has more to say; what has come so
    far is kept in `part`, if anything has.
    """

    def __init__(self, url: str, why: str, part: Path | None = None) -> None:
        self.reason = f"{url} could not be fetched: {why}"
        kept = part is not None and part.is_file() and part.stat().st_size > 0
        advice = f" What came is kept in {part}: run again to go on." if kept else ""
        super().__init__(f"{self.reason}.{advice}")


class _CutOffError(Exception):
    """The connection ended before the file did; the message says how much came."""


def published_name(url: str) -> str:
    """Name of a published file, which holds the first digits of its SHA-256.

    One that holds none is a `WeightsError`: there would be nothing to verify the file by.
    """
    name = Path(urlsplit(url).path).name
    if not CHECKSUM_IN_NAME.search(name):
        raise WeightsError(f"The name of {url} holds no checksum to verify it by.")
    return name


def is_published(path: Path, name: str) -> bool:
    """Whether the SHA-256 of a file begins with the digits in a published name."""
    digits = CHECKSUM_IN_NAME.search(name)
    return digits is not None and file_checksum(path).startswith(digits[1])


def fetch_verified(url: str, folder: Path) -> Path:
    """Fetch a published file, or what is missing of it, and verify its checksum.

    Proxies are those of the environment (``http_proxy``, ``https_proxy``, ``no_proxy``).

    Parameters
    ----------
    url : str
        http or https; its name must end in ``-<8 to 64 first digits of the SHA-256>.pth``.
    folder : Path
        Where to keep it. What has come so far stands in ``<name>.part`` there, from which another
        call goes on.

    Returns
    -------
    Path
        The file in `folder`.

    Raises
    ------
    WeightsError
        If the file cannot be fetched, or is another one than its name says.
    """
    name = published_name(url)
    if urlsplit(url).scheme not in {"http", "https"}:
        raise WeightsError(f"{url} is neither an http nor an https address.")
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / name, folder / f"{name}.part"
    if target.is_file() and is_published(target, name):
        return target
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        resumes = part.is_file() and part.stat().st_size > 0
        try:
            _fetch_rest(url, part)
        except _CutOffError as error:
            problem = str(error)
            continue
        if is_published(part, name):
            return part.replace(target)
        part.unlink()
        problem = "what came has another checksum than the one in its name"
        if not resumes:
            break  # what came in one piece would come again
    raise DownloadError(url, problem, part)


def _fetch_rest(url: str, part: Path) -> None:
    """Add to a part what is missing of it; begin anew where the server cannot go on."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "cxrcam"})  # noqa: S310 (checked)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        # A new opener each time: it asks the environment for proxies when it is made.
        response = urllib.request.build_opener().open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # nothing is missing, or the checksum will tell
        why = f"the server answered {error.code} ({error.reason})"
        raise DownloadError(url, why, part) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadError(url, _no_answer(error), part) from error
    with response:
        goes_on = response.status == http.client.PARTIAL_CONTENT
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _CutOffError("the server sent another part of it than was asked for")
        wanted = response.headers.get("Content-Length", "")
        received = 0
        with part.open("ab" if goes_on else "wb") as file:
            while block := _next_block(response, url, part):
                file.write(block)
                file.flush()
                received += len(block)
        if wanted.isdigit() and received < int(wanted):
            raise _CutOffError(f"it was cut off after {received} of {wanted} bytes")


def _next_block(response: http.client.HTTPResponse, url: str, part: Path) -> bytes:
    """Bytes that have come; none at the end."""
    try:
        return response.read1(BLOCK)
    except TimeoutError as error:
        raise DownloadError(url, f"nothing came for {TIMEOUT:g} s", part) from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutOffError(f"it was cut off ({error or type(error).__name__})") from error


def _no_answer(error: Exception) -> str:
    """Why there is no answer from the server."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    return f"no connection ({str(cause) or type(cause).__name__})"

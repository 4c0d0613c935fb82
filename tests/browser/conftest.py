"""A headless Chromium, whose every request to another machine is recorded and refused.

Needs Chromium and its driver, which `make test-tools` installs.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from selenium import webdriver

from tests.browser.viewer_example import (
    N_IMAGES,
    drawn_images,
    small_network,
    small_training_pictures,
    write_viewer,
)
from workflow_scripts.cxrcam.viewer.serve import make_server
from workflow_scripts.cxrcam.viewer.training_pictures import TrainingPictures

Browser = webdriver.Chrome


@pytest.fixture(scope="session")
def requests() -> Iterator[tuple[int, list[str]]]:
    """Port of a proxy that lets nothing through, and what it was asked for."""
    asked: list[str] = []

    class Recorder(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        do_GET = do_POST = do_HEAD = do_CONNECT = refuse

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


@pytest.fixture(scope="session")
def browser(requests: tuple[int, list[str]]) -> Iterator[Browser]:
    for needed in ("chromium", "chromedriver"):
        if not shutil.which(needed):
            pytest.skip(f"{needed} is not installed: `make test-tools` does it")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        # Chromium's own calls home, which are not the page's.
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--no-first-run", "--disable-default-apps", "--disable-domain-reliability"),
        # All but this machine's own addresses goes through the recorder.
        f"--proxy-server=http://127.0.0.1:{requests[0]}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options, webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    )
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    """The page of the module's tests, as if it were the first one of this browser."""
    browser.set_window_size(1280, 900)
    browser.get_log("browser")  # of pages before this one
    browser.get(page.as_uri())
    return browser


@pytest.fixture
def fits_the_screen(browser: Browser, tmp_path: Path) -> Callable[..., None]:
    """Open a page at three widths, light and dark: it is never wider than the screen."""

    def check(name: str, open_page: Callable[[], object]) -> None:
        for scheme in ("light", "dark"):
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            for width in (390, 820, 1600):
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                open_page()
                wide, room = browser.execute_script(
                    "const page = document.documentElement;"
                    " return [page.scrollWidth, page.clientWidth]"
                )
                # To be looked at, where a folder is named.
                folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
                assert browser.save_screenshot(str(folder / f"{name}-{width}-{scheme}.png"))
                assert wide <= room, f"{name} at {width} pixels, {scheme}"
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    return check


@pytest.fixture(scope="session")
def network() -> torch.nn.Module:
    return small_network()


@pytest.fixture(scope="session")
def trained_on() -> TrainingPictures:
    return small_training_pictures()


@pytest.fixture(scope="session")
def viewer(
    network: torch.nn.Module,
    trained_on: TrainingPictures,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Folder of the viewer of a small network; Node.js with npm bundles it."""
    for needed in ("node", "npm"):
        if not shutil.which(needed):
            pytest.skip(f"{needed} is not installed: `make test-tools` does it")
    folder = tmp_path_factory.mktemp("viewer")
    write_viewer(folder, network, trained_on)
    return folder


@pytest.fixture(scope="session")
def address(viewer: Path) -> Iterator[str]:
    with make_server(viewer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    # Real X-rays, where a folder of them is named.
    folder = os.environ.get("VIEWER_IMAGES")
    if folder:
        return sorted(file for file in Path(folder).iterdir() if file.is_file())[:N_IMAGES]
    return drawn_images(tmp_path_factory.mktemp("images"))

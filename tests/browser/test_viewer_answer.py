"""The viewer's answer on a phone: in sight, focused, announced; none where none can be given."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.browser.viewer_example import (
    CLASSES,
    SIZE,
    choose,
    wait,
)
from tests.workflow.small_project import xray
from workflow_scripts.cxrcam.files import read_json, write_json
from workflow_scripts.cxrcam.images.drawn_mark import drawn_mark
from workflow_scripts.cxrcam.new_images.answers import ONLY_DRAWN
from workflow_scripts.cxrcam.terms import DRAWN
from workflow_scripts.cxrcam.viewer.bundle import page_with_words
from workflow_scripts.cxrcam.viewer.serve import make_server

Browser = webdriver.Chrome


def move(browser: Browser) -> float:
    """How much of the page has moved since it was opened: its cumulative layout shift."""
    return float(
        browser.execute_async_script(
            "const done = arguments[0]; let sum = 0;"
            "const add = (list) => { for (const {value} of list.getEntries()) sum += value; };"
            "new PerformanceObserver(add)"
            "  .observe({type: 'layout-shift', buffered: true});"
            "setTimeout(() => done(sum), 300)"
        )
    )


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Browser]:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    wait(browser, "!document.getElementById('file').disabled")
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_on_a_phone_the_answer_is_in_sight_focused_and_announced(
    phone: Browser, images: list[Path]
) -> None:
    phone.execute_script(
        "document.addEventListener('predicted', ({detail: {probabilities, unlike}}) => {"
        " window.last = [probabilities, unlike]; })"
    )
    answered = set()
    for file in images[:4]:
        said = choose(phone, file)
        title = phone.find_element(By.ID, "result-title")
        probabilities, unlike = phone.execute_script("return window.last")
        name, share = max(zip(CLASSES, probabilities, strict=True), key=lambda one: one[1])
        number = f"{100 * share:.0f}" if share <= 0.99 else "over 99"
        answer = f"{name} {number} %, not believable"
        answered.add(not unlike)
        assert title.text == ("No answer" if unlike else answer)
        announced = f"{title.text}: {unlike}" if unlike else title.text
        assert said.startswith(f"{announced}. {file.name}")
        assert phone.find_element(By.ID, "status").get_attribute("role") == "status"
        assert phone.switch_to.active_element == title
        top, bottom, high = phone.execute_script(
            "const {top, bottom} = arguments[0].getBoundingClientRect();"
            "return [top, bottom, innerHeight]",
            title,
        )
        assert 0 <= top < bottom <= high / 2
    assert answered == {True, False}


def test_on_a_phone_hardly_anything_moves(
    phone: Browser, images: list[Path], tmp_path: Path
) -> None:
    noise = tmp_path / "noise.png"
    grey = np.random.default_rng(0).integers(0, 256, (80, 80), dtype=np.uint8)
    Image.fromarray(grey).save(noise)
    text = tmp_path / "notes.png"
    text.write_text("This is a text.")
    assert "No answer" in choose(phone, noise)
    for file in (images[0], text, images[1]):
        choose(phone, file)
    moved = move(phone)
    print(f"\nlayout shift {moved:.3f}")
    assert moved < 0.1


def test_a_network_of_phantoms_names_no_class_of_what_is_none(
    browser: Browser, viewer: Path, images: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(viewer, folder)
    card = read_json(viewer / "model.json") | {"only_drawn": ONLY_DRAWN}
    write_json(folder / "model.json", card)
    (folder / "index.html").write_text(page_with_words(card), encoding="utf-8")
    drawn = tmp_path / "phantom.png"
    Image.fromarray(xray(0, SIZE)).save(drawn, pnginfo=drawn_mark())
    with make_server(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.get(f"http://127.0.0.1:{server.server_address[1]}/")
        wait(browser, "!document.getElementById('file').disabled")
        assert DRAWN.lower() in browser.find_element(By.TAG_NAME, "main").text.lower()
        assert ONLY_DRAWN in choose(browser, images[0])
        said = browser.find_element(By.ID, "result").text
        assert ONLY_DRAWN in said
        assert not [name for name in CLASSES if name in said]
        assert "not believable" in choose(browser, drawn)
        assert "Drawn image" in browser.find_element(By.ID, "result").text
        server.shutdown()

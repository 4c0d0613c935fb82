"""The page of new images in a real browser: no fault, and its controls change what is seen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.unit.answers_example import page as answers_html
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.report.page import write_static

Browser = webdriver.Chrome


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "demo/predict/images-123456"
    (folder / "pictures").mkdir(parents=True)
    (folder.parents[1] / "audit").mkdir()
    (folder.parents[1] / "audit/verdict.md").touch()
    (folder / "predictions.csv").touch()
    for name in ("x.jpg", "h.png", "o.png", "pictures/evidence-scale.png"):
        Image.new("L" if name == "x.jpg" else "RGBA", (30, 30)).save(folder / name)
    write_static(folder)
    write_text(folder / "index.html", answers_html())
    return folder / "index.html"


def shown(browser: Browser, selector: str) -> int:
    return sum(e.is_displayed() for e in browser.find_elements(By.CSS_SELECTOR, selector))


def test_nothing_is_reported_and_every_link_and_picture_is_there(
    opened: Browser, page: Path
) -> None:
    assert opened.get_log("browser") == []
    for selector, attribute in (("a[href]", "href"), ("img", "src")):
        found = opened.find_elements(By.CSS_SELECTOR, selector)
        targets = [element.get_attribute(attribute) for element in found]
        assert targets
        for target in targets:
            file = target.removeprefix("file://").split("#")[0]
            assert Path(file).exists(), target


def test_evidence_can_be_hidden(opened: Browser) -> None:
    assert shown(opened, ".evidence")
    opened.find_element(By.CSS_SELECTOR, "[data-layer=evidence]").send_keys(Keys.SPACE)
    assert not shown(opened, ".evidence")


def test_abstentions_can_be_picked_out(opened: Browser) -> None:
    assert shown(opened, "#cards > li") == 3
    Select(opened.find_element(By.ID, "outcome-filter")).select_by_value("abstained")
    assert shown(opened, "#cards > li") == 2
    assert opened.find_element(By.ID, "cards-shown").text == "2 of 3 shown"


def test_the_table_is_filtered_by_text(opened: Browser) -> None:
    opened.find_element(By.CSS_SELECTOR, "[data-filter=answers-table]").send_keys("blank")
    assert shown(opened, "#answers-table tbody tr") == 1


def test_the_page_is_never_wider_than_the_screen(
    browser: Browser, page: Path, fits_the_screen: Callable[..., None]
) -> None:
    fits_the_screen("predictions", lambda: browser.get(page.as_uri()))

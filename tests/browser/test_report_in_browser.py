"""The report in a real browser: no fault, and its controls change what is seen."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from tests.unit.report_example import EVIL, make_report

Browser = webdriver.Chrome


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(tmp_path_factory.mktemp("results"))


def shown(browser: Browser, selector: str) -> list[WebElement]:
    return [e for e in browser.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()]


def test_nothing_is_reported_on_the_console(opened: Browser) -> None:
    assert opened.get_log("browser") == []


def test_a_script_in_the_page_can_reach_nobody(opened: Browser) -> None:
    directive = opened.execute_async_script(
        "const done = arguments[0];"
        "document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));"
        "fetch('http://127.0.0.1:9/').then(() => done('it was sent'), () => {});"
    )
    assert directive == "connect-src"


def test_evidence_is_hidden_and_shown_by_keyboard_and_the_xray_stays(opened: Browser) -> None:
    box = opened.find_element(By.CSS_SELECTOR, "[data-layer=evidence]")
    pictures = opened.find_element(By.CSS_SELECTOR, ".stack")
    before, n = pictures.screenshot_as_png, len(shown(opened, ".stack > img:first-child"))
    assert len(shown(opened, ".evidence")) == n
    box.send_keys(Keys.SPACE)
    assert shown(opened, ".evidence") == []
    assert len(shown(opened, ".stack > img:first-child")) == n
    assert pictures.screenshot_as_png != before
    box.send_keys(Keys.SPACE)
    assert pictures.screenshot_as_png == before


def test_filters_of_the_gallery_work_together(opened: Browser) -> None:
    assert len(shown(opened, "#cards > li")) == 12
    Select(opened.find_element(By.ID, "outcome-filter")).select_by_value("mistake")
    assert len(shown(opened, "#cards > li")) == 4
    Select(opened.find_element(By.ID, "class-filter")).select_by_visible_text(EVIL)
    assert len(shown(opened, "#cards > li")) == 2
    assert opened.find_element(By.ID, "cards-shown").text == "2 of 12 shown"


@pytest.mark.parametrize(
    ("filter_id", "option", "n"),
    [
        ("fold-filter", "2", 4),
        ("sureness-filter", "sure (probability 0.75 to 0.95)", 4),
        ("sureness-filter", "very sure (probability 0.95 to 1)", 0),
    ],
)
def test_cards_of_a_fold_or_of_some_sureness_are_picked_out(
    opened: Browser, filter_id: str, option: str, n: int
) -> None:
    Select(opened.find_element(By.ID, filter_id)).select_by_visible_text(option)
    assert len(shown(opened, "#cards > li")) == n
    assert opened.find_element(By.ID, "cards-shown").text == f"{n} of 12 shown"


def test_outlines_can_be_hidden(opened: Browser) -> None:
    assert len(shown(opened, ".outline")) == 6
    opened.find_element(By.CSS_SELECTOR, "[data-layer=outline]").click()
    assert shown(opened, ".outline") == []


def column(browser: Browser, number: int) -> list[str]:
    cells = browser.find_elements(By.CSS_SELECTOR, f"#runs-table tbody td:nth-child({number})")
    return [cell.text.split()[0] for cell in cells if cell.is_displayed()]


def test_the_table_of_runs_is_sorted_by_keyboard(opened: Browser) -> None:
    heading = opened.find_element(By.CSS_SELECTOR, "#runs-table th:nth-child(6)")
    button = heading.find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)
    assert column(opened, 6) == ["0.250", "0.750", "1.000"]
    assert heading.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.SPACE)
    assert column(opened, 6) == ["1.000", "0.750", "0.250"]


def test_the_table_of_runs_is_filtered_by_text(opened: Browser) -> None:
    search = opened.find_element(By.CSS_SELECTOR, "[data-filter=runs-table]")
    search.send_keys("+0.250")
    assert column(opened, 3) == ["1"]
    assert opened.find_element(By.CSS_SELECTOR, "[data-count=runs-table]").text == "1 of 3 shown"


def test_a_link_to_a_closed_part_opens_it(opened: Browser) -> None:
    mark = opened.find_element(By.CSS_SELECTOR, ".matrix a.failed")
    row = opened.find_element(By.CSS_SELECTOR, mark.get_dom_attribute("href"))
    assert not row.is_displayed()
    mark.send_keys(Keys.ENTER)
    assert row.is_displayed()
    assert opened.switch_to.active_element == row


def test_the_page_is_never_wider_than_the_screen(
    browser: Browser, page: Path, fits_the_screen: Callable[..., None]
) -> None:
    def opened() -> None:
        # Of another page, where one is named, to be looked at.
        browser.get(os.environ.get("REPORT_PAGE", page.as_uri()))
        browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")

    fits_the_screen("report", opened)

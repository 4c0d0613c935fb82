"""The pages of the audit in a real browser: pictures grow on a click, without a script."""

from collections.abc import Callable
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.unit.test_copies_shown import page as copies_page
from tests.unit.test_copies_shown import pairs, ranked, star
from workflow_scripts.cxrcam.files import write_text

Browser = webdriver.Chrome


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("audit") / "duplicates.html"
    write_text(file, copies_page(ranked(pairs(*star("x", 3)))))
    write_text(file.with_name("duplicates.csv"), "")
    return file


def test_a_pair_grows_and_shrinks_by_keyboard(opened: Browser) -> None:
    assert opened.get_log("browser") == []
    picture = opened.find_element(By.CSS_SELECTOR, ".growing img")
    small = picture.size["width"]
    summary = opened.find_element(By.CSS_SELECTOR, ".growing summary")
    summary.send_keys(Keys.ENTER)
    assert picture.size["width"] > 2 * small
    room = opened.find_element(By.TAG_NAME, "main").size["width"]
    assert picture.size["width"] > 0.9 * room
    summary.send_keys(Keys.SPACE)
    assert picture.size["width"] == small


def test_a_click_marks_the_whole_line_of_a_pair(opened: Browser) -> None:
    line = opened.find_element(By.CSS_SELECTOR, ".pair .row")
    line.click()
    assert opened.execute_script("return getSelection().toString()").strip() == line.text
    assert line.text.count(",") == 2


def test_the_page_is_never_wider_than_the_screen(
    browser: Browser, page: Path, fits_the_screen: Callable[..., None]
) -> None:
    def opened() -> None:
        browser.get(page.as_uri())
        browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")

    fits_the_screen("copies", opened)

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
from selenium.webdriver.support.wait import WebDriverWait

from tests.unit.report_example import EVIL, make_report

Browser = webdriver.Chrome


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(tmp_path_factory.mktemp("results"))


def shown(browser: Browser, selector: str) -> list[WebElement]:
    return [e for e in browser.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()]


def wait_for_focus(browser: Browser, element: WebElement) -> None:
    """Events that move the focus, such as a dialog's `close`, come a moment after a key."""
    WebDriverWait(browser, 10).until(lambda page: page.switch_to.active_element == element)


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
    box = opened.find_element(By.CSS_SELECTOR, ".controls [data-layer=evidence]")
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
    Select(opened.find_element(By.ID, "which-filter")).select_by_visible_text("mistakes only")
    assert len(shown(opened, "#cards > li")) == 4
    Select(opened.find_element(By.ID, "class-filter")).select_by_visible_text(EVIL)
    assert len(shown(opened, "#cards > li")) == 2
    assert opened.find_element(By.ID, "cards-shown").text == "2 of 12 shown"


def test_mistakes_outside_the_random_sample_are_seen_when_asked_for(
    opened: Browser, page: Path
) -> None:
    opened.execute_script(
        "document.querySelector('#cards > li[data-outcome=mistake]').dataset.drawn = 'no'"
    )
    which = Select(opened.find_element(By.ID, "which-filter"))
    for choice, n in (("mistakes only", 4), ("random sample", 11), ("all", 12)):
        which.select_by_visible_text(choice)
        assert len(shown(opened, "#cards > li")) == n


def test_the_surest_come_first_when_asked_for_and_the_draw_comes_back(opened: Browser) -> None:
    def probabilities() -> list[float]:
        cards = opened.find_elements(By.CSS_SELECTOR, "#cards > li")
        return [float(str(card.get_attribute("data-probability"))) for card in cards]

    drawn, box = probabilities(), opened.find_element(By.ID, "surest-first")
    box.click()
    assert probabilities() == sorted(drawn, reverse=True) != drawn
    box.click()
    assert probabilities() == drawn


# --- a card, large --------------------------------------------------------------------------------


def large_names(browser: Browser) -> list[str]:
    pictures = browser.find_elements(By.CSS_SELECTOR, "#large-card img")
    assert all(browser.execute_script("return arguments[0].decode()", p) is None for p in pictures)
    return [str(picture.get_attribute("src")).split("/pictures/")[1] for picture in pictures]


def test_a_click_shows_the_large_xray_beside_the_evidence_and_escape_goes_back(
    opened: Browser,
) -> None:
    link = opened.find_element(By.CSS_SELECTOR, "#cards a.enlarge")
    link.send_keys(Keys.ENTER)
    assert len(shown(opened, "#large")) == 1
    assert large_names(opened)[:3] == ["large/01-xray.jpg"] * 2 + ["large/01-evidence.png"]
    assert shown(opened, "#large .evidence")
    # The boxes of the page and of the large picture stand for the same layer.
    opened.find_element(By.CSS_SELECTOR, "#large [data-layer=evidence]").click()
    assert not shown(opened, "#large .evidence") and len(shown(opened, "#large .stack img")) > 0
    assert not opened.find_element(By.CSS_SELECTOR, ".controls [data-layer=evidence]").is_selected()
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert shown(opened, "#large") == []
    wait_for_focus(opened, link)
    assert opened.get_log("browser") == []


def test_arrows_go_on_to_the_next_card_that_is_not_hidden_and_stop_at_the_ends(
    opened: Browser,
) -> None:
    Select(opened.find_element(By.ID, "which-filter")).select_by_visible_text("mistakes only")
    wanted = [
        str(link.get_attribute("href")).split("/pictures/")[1]
        for link in shown(opened, "#cards a.enlarge")
    ]
    shown(opened, "#cards a.enlarge")[0].click()
    seen = []
    for _ in range(5):
        seen.append(large_names(opened)[0])
        opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert seen == [*wanted, wanted[-1]]
    opened.find_element(By.CSS_SELECTOR, "[data-step='-1']").click()
    assert large_names(opened)[0] == wanted[-2]
    opened.find_element(By.CSS_SELECTOR, "[data-close]").click()
    assert shown(opened, "#large") == []


def test_pictures_of_the_first_screen_show_the_xray_beside_them_only_when_large(
    opened: Browser,
) -> None:
    links = shown(opened, ".outside a.enlarge")
    assert len(links) > 1
    assert shown(opened, ".outside .pair > img") == [] and shown(opened, ".outside .evidence")
    wanted = [str(link.get_attribute("href")).split("/pictures/")[1] for link in links]
    links[0].click()
    assert shown(opened, "#large .pair > img") and large_names(opened)[0] == wanted[0]
    for _ in wanted:
        opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert large_names(opened)[0] == wanted[-1]
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait_for_focus(opened, links[-1])


def test_when_and_where_it_was_made_stands_on_the_first_screen(opened: Browser) -> None:
    words = opened.find_element(By.ID, "made").text
    assert words == f"Written: 2026-01-01 00:00 UTC. Machine: {EVIL}. Command: snakemake."


def test_the_methods_are_copied_or_marked(opened: Browser) -> None:
    button = opened.find_element(By.CSS_SELECTOR, "[data-copy]")
    button.click()
    marked = opened.execute_script("return getSelection().toString()")
    assert marked == opened.find_element(By.ID, "methods").text
    assert marked.startswith("X-rays of")


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
    assert len(shown(opened, "#cards .outline")) == 6
    opened.find_element(By.CSS_SELECTOR, ".controls [data-layer=outline]").click()
    assert shown(opened, ".outline") == []


def column(browser: Browser, number: int) -> list[str]:
    cells = browser.find_elements(By.CSS_SELECTOR, f"#runs-table tbody tr > :nth-child({number})")
    return [cell.text.split()[0] for cell in cells if cell.is_displayed()]


def test_the_table_of_runs_is_sorted_by_keyboard(opened: Browser) -> None:
    heading = opened.find_element(By.CSS_SELECTOR, "#runs-table thead th:nth-child(2)")
    button = heading.find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)
    assert column(opened, 2) == ["0.250", "0.750", "1.000"]
    assert heading.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.SPACE)
    assert column(opened, 2) == ["1.000", "0.750", "0.250"]


def test_the_table_of_runs_is_filtered_by_text(opened: Browser) -> None:
    search = opened.find_element(By.CSS_SELECTOR, "[data-filter=runs-table]")
    search.send_keys("+0.250")
    assert column(opened, 1) == ["fold"]
    assert opened.find_element(By.CSS_SELECTOR, "[data-count=runs-table]").text == "1 of 3 shown"


def test_the_reader_sets_how_common_the_class_is(opened: Browser) -> None:
    place = 1 + [
        h.text.split()[0] for h in opened.find_elements(By.CSS_SELECTOR, "#runs-table thead th")
    ].index("PPV")
    assert column(opened, place)[0] == "0.143"
    box = opened.find_element(By.ID, "prevalence")
    box.clear()
    box.send_keys("50")
    assert column(opened, place)[0] == "0.600"  # 0.75 / (0.75 + 0.5)
    box.send_keys(Keys.BACKSPACE, Keys.BACKSPACE)
    assert column(opened, place)[0] == "–"


def test_a_column_can_be_put_away_but_not_the_names_of_the_runs(opened: Browser) -> None:
    opened.find_element(By.CSS_SELECTOR, ".chooser summary").click()
    boxes = opened.find_elements(By.CSS_SELECTOR, ".chooser input")
    headings = opened.find_elements(By.CSS_SELECTOR, "#runs-table thead th")
    assert len(boxes) == len(headings) - 1
    boxes[0].click()
    assert column(opened, 2) == [] and len(column(opened, 1)) == 3
    boxes[0].click()
    assert len(column(opened, 2)) == 3


def test_rows_are_cards_on_a_phone(opened: Browser) -> None:
    opened.set_window_size(390, 844)
    opened.execute_script("document.documentElement.style.maxWidth = '390px'")
    narrow = opened.execute_script("return matchMedia('(max-width: 40rem)').matches")
    assert narrow, "the browser cannot be made as narrow as a phone"
    cell = opened.find_element(By.CSS_SELECTOR, "#runs-table tbody td")
    shown_before = opened.execute_script(
        "return getComputedStyle(arguments[0], '::before').content", cell
    )
    assert shown_before == '"Accuracy (95 %)"'


def test_a_link_to_a_closed_part_opens_it(opened: Browser) -> None:
    mark = opened.find_element(By.CSS_SELECTOR, ".matrix a.failed")
    row = opened.find_element(By.CSS_SELECTOR, mark.get_dom_attribute("href"))
    assert not row.is_displayed()
    mark.send_keys(Keys.ENTER)
    wait_for_focus(opened, row)
    assert row.is_displayed()


def test_the_page_is_never_wider_than_the_screen(
    browser: Browser, page: Path, fits_the_screen: Callable[..., None]
) -> None:
    def opened() -> None:
        # Of another page, where one is named, to be looked at.
        browser.get(os.environ.get("REPORT_PAGE", page.as_uri()))
        browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")

    fits_the_screen("report", opened)

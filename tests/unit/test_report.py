"""The report: nothing from data becomes markup, everything that it names is there."""

import itertools
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.unit.html_page import Page, links_within
from tests.unit.report_example import (
    CLASSES,
    EVIL,
    example_metrics,
    example_runs,
    example_verdict,
    make_report,
)
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.maps.overlays import against_layer, evidence_layer, overlay
from workflow_scripts.cxrcam.report.cells import NONE, interval_cell, number_cell, relative_href
from workflow_scripts.cxrcam.report.designs import (
    FIGURE_WORDS,
    captioned,
    designs_of,
    evidence_links,
    map_links,
    plain,
)
from workflow_scripts.cxrcam.report.enclosed import enclose, size_in_words
from workflow_scripts.cxrcam.report.headline import headline_bars
from workflow_scripts.cxrcam.report.matrix import check_matrix
from workflow_scripts.cxrcam.report.page import gap_check
from workflow_scripts.cxrcam.report.pictures import (
    OUTSIDE_AREA,
    PICTURE_SIDE,
    Card,
    choose_images,
    most_outside,
    outside_shares,
    sureness_in_words,
    write_gallery,
)
from workflow_scripts.cxrcam.report.provenance import commit_of, jobs_table
from workflow_scripts.cxrcam.report.tables import confusion_table, external_table, runs_table
from workflow_scripts.cxrcam.report.templating import NOTICE, TEMPLATES
from workflow_scripts.cxrcam.terms import DRAWN
from workflow_scripts.cxrcam.verdict.check import CONSEQUENCES


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def page(file: Path) -> Page:
    return Page(file)


def test_names_from_data_are_never_markup(file: Path, page: Page) -> None:
    assert EVIL in "".join(page.words)
    for name in ("index.html", "provenance.html"):
        text = (file.parent / name).read_text(encoding="utf-8")
        assert "alert(" in text
        assert "<script>" not in text
    assert [tag.get("src") for tag in page.of("script")] == ["report.js", "made.js"]


def test_the_folder_of_the_report_alone_holds_all_that_it_links(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = shutil.copytree(file.parent, tmp_path_factory.mktemp("mailed") / "report")
    links, lost = links_within(folder)
    assert (links > 50, lost) == (True, [])


def test_identifiers_are_unique(page: Page) -> None:
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_every_picture_says_what_it_shows(page: Page) -> None:
    pictures = page.of("img")
    assert all("alt" in picture for picture in pictures)
    # The second copy of an X-ray, under its map, and the outlines say nothing new.
    silent = [str(picture["src"]) for picture in pictures if not picture["alt"]]
    assert all(name.startswith("pictures/") for name in silent)
    # Six of the twelve have outlines. Those on the first screen stand in the gallery, too.
    assert [silent.count(name) in (1, 2) for name in set(silent)] == [True] * (12 + 6)


def test_nothing_comes_from_a_network(file: Path) -> None:
    for written in file.parent.iterdir():
        if written.is_file():
            text = written.read_text(encoding="utf-8").lower()
            # The name of a namespace, which nothing is fetched from.
            text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
            assert not re.search(r"(https?:)?//[a-z]", text), written.name


def test_the_report_is_small(file: Path) -> None:
    size = sum(part.stat().st_size for part in file.parent.rglob("*") if part.is_file())
    assert size < 2_000_000
    # Twice as many images as here, of 224 pixels, and all else of a large study: under 15 MB.
    pictures = [part for part in (file.parent / "pictures").iterdir() if part.is_file()]
    assert max(part.stat().st_size for part in pictures) < 100_000


def test_the_notice_stands_on_every_page_and_says_what_is_drawn(file: Path, tmp_path: Path) -> None:
    drawn = make_report(tmp_path, is_drawn=True)
    for name in ("index.html", "provenance.html"):
        real = (file.parent / name).read_text(encoding="utf-8")
        assert NOTICE in real and DRAWN not in real
        assert f"{DRAWN}. {NOTICE}" in (drawn.parent / name).read_text(encoding="utf-8")


def test_what_a_reader_decided_and_what_labels_are_worth_is_said(file: Path) -> None:
    text = re.sub(r"\s+", " ", file.read_text(encoding="utf-8"))
    assert "A reader left out 2 images and gave 1 another label" in text
    assert "confident learning counts 3 of 120 labels as wrong (2.5 %)" in text


def test_a_random_sample_comes_first_and_then_the_other_mistakes_the_surest_first() -> None:
    n, wrong = 40, {3, 11, 19, 27}
    records = pd.DataFrame({"image_id": range(n), "probability": np.linspace(0.5, 0.9, n)})
    records["correct"] = ~records["image_id"].isin(wrong)
    chosen = choose_images(records, 10)
    drawn, added = chosen[chosen["is_drawn"]], chosen[~chosen["is_drawn"]]
    assert len(drawn) == 6 and chosen.index[:6].equals(drawn.index)
    assert {*added["image_id"]} == wrong - {*drawn["image_id"]}
    assert added["probability"].is_monotonic_decreasing
    # By chance: neither in the order of the table nor in that of sureness; and the same each time.
    assert not drawn["image_id"].is_monotonic_increasing
    assert not drawn["image_id"].is_monotonic_decreasing
    assert choose_images(records, 10).equals(chosen)
    # Each image has the same chance, mistake or not.
    often = pd.concat([records] * 25, ignore_index=True)
    half = choose_images(often, 600)
    share = (~half[half["is_drawn"]]["correct"]).mean()
    assert abs(share - 0.1) < 0.04


def test_evidence_outside_the_centre_is_measured_on_the_image(tmp_path: Path) -> None:
    run = example_runs(tmp_path / "images")[1]
    maps = np.zeros((len(run.records), 1, 10, 10), dtype=np.float32)
    maps[0, 0, 4:6, 4:6] = 1.0  # in the middle
    maps[1, 0, 0, 0] = 1.0  # in a corner
    maps[2] = 1.0  # everywhere
    maps[3] = -1.0  # against the class only
    placed = replace(run, maps=replace(run.maps, values=maps, stride=6.4, offset=2.7))
    shares = outside_shares(placed)
    assert shares[:3] == pytest.approx([0.0, 1.0, 0.64], abs=1e-6)
    assert np.isnan(shares[3])
    assert OUTSIDE_AREA == pytest.approx(0.64)


def test_images_with_the_most_evidence_outside_are_a_third_mistakes_and_more_than_by_chance() -> (
    None
):
    shares = [0.99, 0.7, 0.8, 0.9, 0.95, 0.85, 0.63, 0.97, np.nan]
    wrong = [1, 2, 3, 6]
    records = pd.DataFrame({"outside": shares, "correct": [k not in wrong for k in range(9)]})
    assert most_outside(records, 6).index.tolist() == [3, 2, 0, 7, 4, 5]
    assert most_outside(records, 3).index.tolist() == [3, 0, 7]
    assert most_outside(records.assign(outside=0.6)).empty


def test_images_with_the_most_evidence_outside_stand_on_the_first_screen(tmp_path: Path) -> None:
    runs = example_runs(tmp_path / "images")
    for run in runs.values():
        run.maps.values[:, :, 1:3, 1:3] = 0.0
    gallery = write_gallery(runs, len(CLASSES), tmp_path / "d/report/pictures", 0.5, most=2)
    outside = gallery.outside_cards
    assert len(outside) == 6 and [card.is_mistake for card in outside] == [True] * 2 + [False] * 4
    for part in (outside[:2], outside[2:]):
        shares = [card.outside for card in part]
        assert shares == sorted(shares, key=lambda share: -share)
    # They come on top of the sample, and none is drawn twice.
    assert len({card.image_id for card in gallery.cards}) == len(gallery.cards) <= 8
    page = Page(make_report(tmp_path, gallery=gallery))
    alts = [str(picture.get("alt")) for picture in page.of("img")]
    for card in outside:
        assert alts.count(f"X-ray {card.image_id}, {card.label}") == 2
    assert f"{100 * (outside[0].outside or 0):.0f} % of the evidence outside" in page.text


def test_without_evidence_outside_the_first_screen_says_nothing_of_it(tmp_path: Path) -> None:
    runs = example_runs(tmp_path / "images")
    for run in runs.values():
        run.maps.values[:] = 0.0
        run.maps.values[:, :, 1:3, 1:3] = 1.0
    gallery = write_gallery(runs, len(CLASSES), tmp_path / "d/report/pictures", 0.5, most=2)
    assert gallery.outside_cards == []
    assert "farthest out" not in Page(make_report(tmp_path, gallery=gallery)).text


def test_the_gallery_names_links_to_maps_only_where_there_are_some(tmp_path: Path) -> None:
    runs = runs_table(example_metrics(), {}, {"a & b": CLASSES})
    linked = Page(make_report(tmp_path / "linked")).text
    without = Page(make_report(tmp_path / "without", runs=runs)).text
    assert ("linked under Runs" in linked, "linked under Runs" in without) == (True, False)
    assert "Maps of all runs lie in <code>cam/</code>" in without


def test_mistakes_take_no_more_than_half_of_the_pictures() -> None:
    records = pd.DataFrame({"probability": np.linspace(0.5, 0.9, 40), "correct": False})
    assert choose_images(records, 10)["is_drawn"].tolist() == [True] * 5 + [False] * 5


def test_the_gallery_has_the_images_of_all_folds_on_one_scale(tmp_path: Path) -> None:
    runs = example_runs(tmp_path / "images")
    gallery = write_gallery(runs, len(CLASSES), tmp_path / "page/pictures", 0.5, most=24)
    assert [card.fold for card in gallery.cards].count(1) == 8
    assert [card.fold for card in gallery.cards].count(2) == 4
    assert (gallery.total, gallery.mistakes) == (12, 4)
    first = next(card for card in gallery.cards if card.fold == 2)
    picture = replace(runs[2], scale=1.5).picture(first.image_id, PICTURE_SIDE)
    drawn = Image.open(tmp_path / "page" / first.evidence).convert("RGBA")
    wanted = evidence_layer(picture["evidence"], 0.5).convert("RGBA")
    assert np.array_equal(np.asarray(drawn), np.asarray(wanted))
    # Of two classes: log-odds of one against the other are twice a centred logit.
    assert gallery.log_odds == 3.0


def test_a_large_picture_has_the_xrays_own_size_and_a_layer_for_each_small_one(
    tmp_path: Path,
) -> None:
    runs = example_runs(tmp_path / "images")
    gallery = write_gallery(runs, len(CLASSES), tmp_path / "pictures", 0.5, 24, against=True)
    sides = {}
    for card in gallery.cards:
        with Image.open(tmp_path / card.large) as xray:
            assert xray.width == xray.height
            sides[card.image_id] = xray.width
        for layer in filter(None, (card.evidence, card.outline, card.against)):
            with Image.open((tmp_path / card.large).with_name(Path(layer).name)) as picture:
                assert picture.width == sides[card.image_id]
    # The first is said to be 300 pixels wide, the others are smaller than the small pictures.
    assert sides.pop("Normal/0 #?") == 300
    assert {*sides.values()} == {PICTURE_SIDE}


def test_of_a_huge_xray_the_layers_stay_small_so_that_their_lines_are_seen(tmp_path: Path) -> None:
    runs = example_runs(tmp_path / "images")
    runs[1].index.loc["Normal/0 #?", "width"] = 4000
    gallery = write_gallery(runs, len(CLASSES), tmp_path / "pictures", 0.5, 24)
    card = next(card for card in gallery.cards if card.image_id == "Normal/0 #?")
    layer = (tmp_path / card.large).with_name(Path(card.evidence).name)
    with Image.open(tmp_path / card.large) as xray, Image.open(layer) as evidence:
        assert (xray.width, evidence.width) == (1024, 512)


def test_evidence_against_the_class_is_a_layer_of_its_own_where_asked(tmp_path: Path) -> None:
    runs = example_runs(tmp_path / "images")
    for run in runs.values():
        run.maps.values[:] -= 0.5
    without = write_gallery(runs, len(CLASSES), tmp_path / "a/pictures", 0.5, 24)
    assert all(card.against is None for card in without.cards)
    asked = write_gallery(runs, len(CLASSES), tmp_path / "b/pictures", 0.5, 24, against=True)
    for card in asked.cards:
        layer = np.asarray(Image.open(tmp_path / "b" / str(card.against)).convert("RGBA"))
        assert layer[..., 3].any()


def test_a_card_says_where_there_is_no_evidence(tmp_path: Path) -> None:
    runs = example_runs(tmp_path / "images")
    runs[1].maps.values[0] = -1.0
    gallery = write_gallery(runs, len(CLASSES), tmp_path / "pictures", 0.5, 24)
    first = runs[1].records["image_id"][0]
    assert [card.image_id for card in gallery.cards if not card.has_evidence] == [first]
    page = Page(make_report(tmp_path / "made", gallery=gallery))
    assert "".join(page.words).count("no evidence for it") == 1


def test_words_for_how_sure_a_network_is_cover_every_probability(tmp_path: Path) -> None:
    words = [word for word, _ in sureness_in_words()]
    card = Card("i", "a", "a", 0.5, 1, "x", "l", "h", True)
    found = {replace(card, probability=p).sureness for p in (0.34, 0.75, 0.95, 1.0)}
    assert found == set(words)
    assert sureness_in_words()[1] == ("sure", "sure (probability 0.75 to 0.95)")


def test_what_was_not_made_is_said(tmp_path: Path) -> None:
    absent = dict.fromkeys(("runs", "overview", "gallery", "duplicates", "splits", "leaks"))
    page = Page(
        make_report(
            tmp_path, **absent, bars=[], designs=[], sources=[], configuration=None, files=[]
        )
    )
    assert "".join(page.words).count("Not made.") == 9  # configuration as well
    assert "The headline was not made." in "".join(page.words)


def test_a_verdict_without_a_headline_makes_a_page(tmp_path: Path) -> None:
    verdict = example_verdict() | {"headline": None, "checks": []}
    page = Page(make_report(tmp_path, verdict=verdict, bars=headline_bars(example_metrics(), None)))
    assert "The headline was not made." in "".join(page.words)
    assert gap_check(verdict) is None


def test_the_first_screen_and_the_provenance_say_what_networks_start_from(page: Page) -> None:
    words = "".join(page.words)
    first, _, rest = words.partition("Right answers on")
    assert f"Networks of holdout start from RANDOM weights. None: {EVIL}." in first
    assert "Networks of other start from the weights of mine.pth." in first
    assert "holdout: random; other: mine.pth sha256:0." in rest


def test_floors_are_pooled_over_the_runs_of_the_headline() -> None:
    network, border, majority = headline_bars(example_metrics(), example_verdict()["headline"])
    assert (network.kind, border.kind) == ("network", "floor")
    assert (border.name, border.accuracy) == ("border", 27 / 36)
    assert majority.accuracy == 0.5
    assert border.low < border.accuracy < border.high
    assert border.text == "75 % (59 to 86 %)"


def test_the_network_elsewhere_stands_below_the_network_with_what_guessing_gives_there() -> None:
    external = pd.DataFrame(
        {"task": "a & b", "scheme": ["holdout", "holdout", "other"], "data_set": [EVIL] * 3}
        | {"fold": [1, 2, 1], "n": 200, "accuracy": [0.6, 0.7, 1.0], "majority_share": 0.72}
    )
    headline = example_verdict()["headline"]
    network, elsewhere, *floors = headline_bars(example_metrics(), headline, external)
    assert (network.kind, elsewhere.kind) == ("network", "elsewhere")
    assert (elsewhere.accuracy, elsewhere.guessing) == (pytest.approx(0.65), pytest.approx(0.72))
    assert elsewhere.name == f"the network on {EVIL}"
    assert elsewhere.sees == "200 images from elsewhere; commonest class 72 %"
    assert {bar.kind for bar in floors} == {"floor"}
    untested = external.assign(accuracy=np.nan)
    assert len(headline_bars(example_metrics(), headline, untested)) == 1 + len(floors)


def test_the_table_of_other_data_sets_has_eight_columns_and_says_why_a_number_is_missing() -> None:
    external = pd.DataFrame(
        {"data_set": "far", "task": "two", "scheme": "holdout", "fold": 1, "seed": [0, 1]}
        | {"reason": ["", "no COVID there"], "n_removed": [2, 0], "n": [80, np.nan]}
        | {"accuracy": [0.61, np.nan], "accuracy_low": 0.5, "accuracy_high": 0.7}
        | {"internal_accuracy": 0.92, "internal_accuracy_low": 0.8, "internal_accuracy_high": 0.97}
        | {"majority_share": [0.72, np.nan], "macro_auroc": [0.46, np.nan], "ppv_COVID": 0.5}
    )
    table = external_table(external)
    assert len(table.columns) == 8 and {len(row) for row in table.rows} == {8}
    tested, missing = ([cell.text for cell in row] for row in table.rows)
    assert tested == [
        *("far", "two, holdout", "1, 0", "80 (2 more are here, too)", "0.610 (0.500 to 0.700)"),
        *("0.920 (0.800 to 0.970)", "0.720", "0.460"),
    ]
    assert missing[3:5] == ["0", "no COVID there"]


RTL = "דלקת ריאות"
LONG = "a label of two hundred characters " * 6


def test_forty_designs_by_all_checks_have_a_mark_each_that_leads_to_what_was_found(
    tmp_path: Path,
) -> None:
    others = [RTL, LONG, *(f"design {k}" for k in range(37))]
    verdict = example_verdict(*others)
    verdict["checks"] += [
        verdict["checks"][0]
        | {"subject": f"a & b, {scheme}", "status": "passed", "finding": scheme}
        for scheme in others
    ]
    matrix = check_matrix(verdict, {})
    assert len(matrix.rows) == 40 and len(matrix.kinds) == 3
    assert [row.marks[0].word for row in matrix.rows] == ["failed"] + ["passed"] * 39
    assert {row.marks[1].word for row in matrix.rows} == {"unknown"}
    # What was found for a design stands where its mark leads to.
    by_id = {f"#{one.id}": one.finding for kind in matrix.kinds for one in kind.found}
    assert [by_id[row.marks[0].href] for row in matrix.rows[1:]] == others
    page = Page(make_report(tmp_path, verdict=verdict))
    assert page.text.count(f"<bdi>{RTL}</bdi>") >= 2
    identifiers = {attributes.get("id") for _, attributes in page.tags}
    marks = [tag for tag in page.of("a") if str(tag["href"]).startswith("#check-")]
    assert len(marks) == 40 * 3
    assert all(str(tag["href"])[1:] in identifiers for tag in marks)
    assert {str(tag["aria-label"]).split(":")[0] for tag in marks} == {
        *("passed", "failed", "unknown")
    }
    # A long list of designs is closed at first.
    (designs,) = [tag for tag in page.of("details") if tag.get("class") == "designs"]
    assert "open" not in designs


def test_a_mark_of_several_checks_is_the_worst_and_one_of_none_is_empty() -> None:
    verdict = example_verdict("other")
    of_one = verdict["checks"][0]
    verdict["checks"] = [
        of_one | {"name": "test: a", "status": "passed", "subject": ""},
        of_one | {"name": "test: b", "status": "failed", "subject": "a & b, holdout"},
        of_one | {"name": "test: c", "status": "not assessable", "subject": "a & b"},
        of_one | {"name": "alone", "status": "passed", "subject": "a & b, holdout"},
    ]
    first, second = check_matrix(verdict, {}).rows
    assert [mark and mark.word for mark in first.marks] == ["failed", "passed"]
    assert [mark and mark.word for mark in second.marks] == ["unknown", None]
    kind = check_matrix(verdict, {"tables/metrics.csv": "../m.csv"}).kinds[0]
    assert [one.detail for one in kind.found] == ["b", "c", "a"]  # the gravest first
    assert kind.found[0].evidence is not None and kind.found[0].evidence.href == "../m.csv"
    assert kind.meaning == CONSEQUENCES["shortcut"]


def test_the_first_screen_has_the_answer_and_its_three_points(page: Page) -> None:
    first = "".join(page.words).partition("Runs")[2].partition("Right answers")[0]
    for words in ("67 % right", "This does not show", "Against it:", "Unknown:", "What to do next"):
        assert words in first
    assert "<code>&lt;script&gt;" in page.text  # a setting that an advice names
    assert "It is the first." in "".join(page.words)


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (make_report(tmp_path / name) for name in ("a", "b"))
    names = sorted(part.relative_to(first.parent) for part in first.parent.rglob("*"))
    for name in names:
        if (first.parent / name).is_file():
            assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes()


def test_layers_over_an_xray_look_as_in_the_overlays() -> None:
    evidence = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    grey = np.full((64, 64), 90, dtype=np.uint8)
    seen = Image.fromarray(grey).convert("RGBA")
    for layer in (against_layer(evidence), evidence_layer(evidence, 0.4)):
        seen = Image.alpha_composite(seen, layer.convert("RGBA"))
    wanted = overlay(grey, evidence, 0.4, against=True)
    assert np.array_equal(np.asarray(seen.convert("RGB")), wanted)


def test_cells_say_where_there_is_no_number() -> None:
    assert number_cell(float("nan")).text == NONE
    assert interval_cell(None, 0.1, 0.2).text == NONE
    assert interval_cell(0.5, float("nan"), 0.7).text == "0.500"
    assert interval_cell(0.25, -0.125, 0.5, sign=True).text == "+0.250 (-0.125 to +0.500)"


def test_links_are_written_as_browsers_want_them(tmp_path: Path) -> None:
    target = tmp_path / "figures" / "100 % #1?.png"
    assert relative_href(target, tmp_path / "report") == "../figures/100%20%25%20%231%3F.png"


def test_jobs_are_added_up_by_rule(tmp_path: Path) -> None:
    for fold, seconds in ((1, "2.5"), (2, "-")):
        file = tmp_path / "runs" / "t" / f"fold-{fold}" / "train.tsv"
        file.parent.mkdir(parents=True)
        file.write_text(f"s\tmax_rss\n{seconds}\t10.0\n", encoding="utf-8")
    (row,) = jobs_table(tmp_path).rows
    assert [cell.text for cell in row] == ["runs: train", "2", "2.5", "2.5", "10"]
    assert jobs_table(tmp_path / "absent").rows == []


def test_no_commit_outside_a_repository(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_on_its_ground(scheme: int) -> None:
    css = (TEMPLATES / "base.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{([^}]*)\}", css)
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", blocks[scheme]))
    inks = ("ink", "quiet", "accent", "failed", "unknown", "passed", "floor")
    pairs = [(ink, ground) for ink in inks for ground in ("ground", "raised")]
    for ink, ground in [*pairs, ("ink", "notice")]:
        light, dark = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{ink} on {ground}"


def test_each_design_has_its_numbers_in_words_and_its_figures(tmp_path: Path) -> None:
    summary = pd.DataFrame(
        {"task": ["two", "two"], "scheme": ["a b", "other"], "n_runs": [1, 3], "pooled_n": 1200}
        | {"pooled_accuracy": 0.9, "pooled_accuracy_low": 0.8, "pooled_accuracy_high": 0.95}
        | {"macro_auroc_mean": [np.nan, 0.97]}
    )
    folder = tmp_path / "report"
    for kind, scheme in itertools.product(FIGURE_WORDS, ("a b", "other")):
        write_text(tmp_path / f"figures/{kind}-two-{scheme}.svg", kind)
    counts = {"classes": ["a", "b"], "confusion_matrix": [[1, 2], [3, 4]]}
    runs = [{"task": "two", "scheme": "a b"}, *[{"task": "two", "scheme": "other"}] * 3]
    given = (summary, [counts] * 4, runs)
    first, second = designs_of(*given, {"task": "two", "scheme": "a b", "fold": 1}, folder)
    assert first.numbers == "accuracy 0.900 (0.800 to 0.950), n = 1,200 in 1 run"
    assert second.numbers.endswith("in 3 runs; AUROC 0.970, mean of the runs")
    assert [row[1].text for row in second.confusion.rows] == ["3", "9"]
    assert (first.is_headline, second.is_headline) == (True, False)
    assert first.figures[0].href == "files/figures/history-two-a%20b.svg"
    assert first.figures[0].alt == f"Training history of two, a b: {first.numbers}"
    assert len({figure.href for figure in first.figures}) == 5
    weighted = [("two", "other", "class weights")]
    again, second = designs_of(*given, {"task": "two", "scheme": "a b"}, folder, weighted)
    assert again.numbers == first.numbers
    assert "; trained with class weights: probabilities at other shares" in second.numbers


def test_a_fold_that_tests_on_a_source_left_out_is_called_so_in_the_table_of_runs() -> None:
    metrics = example_metrics()
    sources = metrics.assign(held_out=[np.nan] + [f"source {k}" for k in range(1, len(metrics))])
    table = runs_table(sources, {}, {"a & b": CLASSES})
    assert [row[0].text for row in table.rows[:2]] == ["fold 1", "fold 2, source 1"]


def test_a_run_is_called_by_what_differs_and_what_does_not_stands_in_the_caption() -> None:
    metrics, classes = example_metrics(), {"a & b": CLASSES}
    table = runs_table(metrics, {}, classes)
    assert [row[0].text for row in table.rows] == ["fold 1", "fold 2", "fold 3"]
    assert "Test images" not in table.columns
    assert table.caption.endswith(
        "The same in all rows: Test images: 12; Specificity (95 %): 0.500 (0.188 to 0.812);"
        " ECE, not calibrated: 0.100"
    )
    alone = runs_table(metrics[:1], {}, classes)
    assert alone.rows[0][0].text == "a & b, holdout, fold 1, seed 0"
    assert "Test images" in alone.columns


def test_sensitivity_and_predictive_value_are_those_of_the_second_of_two_classes() -> None:
    table = runs_table(example_metrics(), {}, {"a & b": CLASSES})
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["Sensitivity (95 %)"].text.startswith("0.750 (")
    # At a prevalence of 10 %: 0.075 true positives, 0.45 false ones.
    assert row["PPV"].text == "0.143" and row["PPV"].rates == (0.75, 0.5)
    three = runs_table(example_metrics(), {}, {"a & b": [*CLASSES, "third"]})
    assert "PPV" not in three.columns


def test_the_confusion_matrix_of_a_design_adds_its_runs_up() -> None:
    runs = [
        {"classes": ["a", "b"], "confusion_matrix": [[3, 1], [0, 4]]},
        {"classes": ["a", "b"], "confusion_matrix": [[2, 2], [1, 3]]},
    ]
    table = confusion_table(runs, "t, s")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["is a", "5", "3", "0.625"],
        ["is b", "1", "7", "0.875"],
    ]


def test_of_many_classes_the_mistakes_are_told_the_most_frequent_first() -> None:
    classes = [f"c{k}" for k in range(11)]
    counts = np.eye(11, dtype=int) * 8
    counts[2, 5], counts[7, 1] = 2, 4
    table = confusion_table([{"classes": classes, "confusion_matrix": counts.tolist()}], "t, s")
    assert table.caption.endswith("88 of 94 are right")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["c7", "c1", "4", "0.333"],
        ["c2", "c5", "2", "0.200"],
    ]


def test_links_lead_to_what_is_there_under_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    for name in ("cam/1/a%2Fb.png", "cam/1/COVID.png", "audit/leaks.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    links = map_links(str(tmp_path / "cam/1"), folder)
    assert [link.text for link in links] == ["COVID", "a/b"]
    assert links[1].href == "files/cam/1/a%252Fb.png"
    checks = [{"file": file} for file in ("audit/leaks.csv", "audit/*/maps.json", "audit")]
    assert evidence_links(checks, folder) == {"audit/leaks.csv": "files/audit/leaks.csv"}
    assert (folder / "files/audit/leaks.csv").is_file()
    assert size_in_words(folder) == "0.0 MB"


def test_a_figure_that_was_not_made_is_none_and_a_caption_is_read_from_its_file(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "report"
    assert plain(None, folder) is None
    for name in ("audit/map_methods.png", "duplicates.png"):
        write_text(tmp_path / name, "a picture")
    shown = plain(str(tmp_path / "audit/map_methods.png"), folder)
    assert shown is not None and shown.href == "files/audit/map_methods.png"
    (tmp_path / "duplicates.txt").write_text("Two pairs.\n", encoding="utf-8")
    figure = captioned(str(tmp_path / "duplicates.png"), str(tmp_path / "duplicates.txt"), folder)
    assert (figure.title, figure.href) == ("Two pairs.", "files/duplicates.png")
    assert (
        figure.alt
        == "Clusters of near-duplicates, those that do most harm first, as the caption says"
    )


def test_a_file_of_elsewhere_is_not_enclosed_by_mistake(tmp_path: Path) -> None:
    write_text(tmp_path / "other/audit.csv", "x")
    with pytest.raises(ValueError, match=r"audit\.csv"):
        enclose(tmp_path / "other/audit.csv", tmp_path / "d/report")

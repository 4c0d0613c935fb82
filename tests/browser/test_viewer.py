"""The viewer in a real browser: it says what Python says, refuses in words, and sends nothing.

Node.js with npm bundles the page.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom.uid import JPEG2000Lossless
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.browser.viewer_example import (
    ANSWER,
    CLASSES,
    MAP_TOLERANCE,
    N_TRAINING,
    PROBABILITY_TOLERANCE,
    SENTENCE,
    SIZE,
    TEMPERATURE,
    answers_of,
    big_png,
    choose,
    dicom_of,
    status,
    wait,
    with_view_code,
)
from tests.unit.dicom_encoders import compressed
from tests.unit.test_dicom import dicom_bytes
from tests.workflow.small_project import xray
from workflow_scripts.cxrcam.data.decoding import decode_image
from workflow_scripts.cxrcam.duplicates.likeness import likeness
from workflow_scripts.cxrcam.export.facts import NOTICE
from workflow_scripts.cxrcam.metrics.calibration import apply_temperature
from workflow_scripts.cxrcam.networks.prediction import Predictions
from workflow_scripts.cxrcam.viewer.training_pictures import TrainingPictures

Browser = webdriver.Chrome


def sent_by_pages(asked: list[str]) -> list[str]:
    """Requests without those that Chromium itself makes for its maker."""
    makers = ("google.com", "googleapis.com", "gvt1.com")
    hosts = {one: (urlsplit(one).hostname or one.split(":")[0]) for one in asked}
    return [one for one, host in hosts.items() if not host.endswith(makers)]


@pytest.fixture(scope="module")
def loaded(browser: Browser, address: str) -> Browser:
    browser.get(address)
    wait(browser, "!document.getElementById('file').disabled")
    browser.execute_script(
        "window.seen = {}; document.addEventListener('predicted', ({detail}) => {"
        " window.last = window.seen[detail.name] = {probabilities: detail.probabilities,"
        " seconds: detail.seconds, similarity: detail.similarity, gain: detail.gain,"
        " change: detail.change, nearest: detail.nearest.map(({label}) => label),"
        " maps: detail.maps.map(({values}) => Array.from(values))}; });"
    )
    return browser


@pytest.fixture(scope="module")
def expected(network: torch.nn.Module, images: list[Path]) -> Predictions:
    """What Python says, from the file to the map."""
    pixels = []
    for file in images:
        facts, decoded = decode_image(file.stem, file, SIZE, "bilinear", 10**8)
        assert decoded is not None, facts["quarantine_reason"]
        pixels.append(decoded)
    return answers_of(network, np.stack(pixels))


@pytest.fixture(scope="module")
def found(loaded: Browser, images: list[Path]) -> list[dict[str, Any]]:
    """What the page says of each image."""
    for file in images:
        assert " s, of which the network took " in choose(loaded, file)
    seen = loaded.execute_script("return window.seen")
    return [seen[file.name] for file in images]


def test_probabilities_are_those_of_python(
    found: list[dict[str, Any]], expected: Predictions
) -> None:
    wanted = apply_temperature(expected.logits, TEMPERATURE)
    differences = np.abs(np.array([one["probabilities"] for one in found]) - wanted).max(axis=1)
    seconds = np.median([one["seconds"]["network"] for one in found])
    print(f"\nlargest difference {differences.max():.1e}; median of the network {seconds:.3f} s")
    assert wanted.max(axis=0).min() > 0.4, "the answers should differ from image to image"
    assert differences.max() < PROBABILITY_TOLERANCE


def test_maps_are_those_of_python(found: list[dict[str, Any]], expected: Predictions) -> None:
    maps = np.array([one["maps"] for one in found])
    wanted = expected.evidence.reshape(maps.shape)
    # In units of the logit; the temperature, not the tolerance, tells how large these are.
    largest = np.abs(maps - wanted).max()
    print(f"\nlargest difference {largest:.1e} of maps that reach {np.abs(wanted).max():.1f}")
    assert np.abs(wanted).max() > 1
    assert largest < MAP_TOLERANCE


def test_a_large_jpeg_differs_by_its_rounding_only(
    loaded: Browser, network: torch.nn.Module, tmp_path: Path
) -> None:
    # The workflow has libjpeg decode it at a half; the page takes means of rounded pixels.
    for number, side in enumerate((500, 900, 1700)):
        file = tmp_path / f"large-{number}.jpg"
        Image.fromarray(xray(number, side)).convert("RGB").save(file, quality=92)
        choose(loaded, file)
        seen = loaded.execute_script("return window.last")
        _, decoded = decode_image("large", file, SIZE, "bilinear", 10**8)
        assert decoded is not None
        wanted = answers_of(network, decoded[None])
        probabilities = apply_temperature(wanted.logits, TEMPERATURE)[0]
        difference = np.abs(np.array(seen["probabilities"]) - probabilities).max()
        maps = np.abs(np.array(seen["maps"]).ravel() - wanted.evidence.ravel()).max()
        print(f"\n{side} pixels: {difference:.1e}, maps {maps / np.abs(wanted.evidence).max():.1e}")
        assert difference < 10 * PROBABILITY_TOLERANCE
        assert maps < 0.01 * np.abs(wanted.evidence).max()


def test_a_dicom_file_gets_the_answer_of_python(
    loaded: Browser, network: torch.nn.Module, tmp_path: Path
) -> None:
    file = tmp_path / "chest"
    window = {"WindowCenter": 1800, "WindowWidth": 3000, "PhotometricInterpretation": "MONOCHROME1"}
    turned = {"PatientOrientation": ["R", "F"], "ViewPosition": "AP", "Modality": "DX"}
    file.write_bytes(dicom_bytes(dicom_of(**window, **turned)))
    choose(loaded, file)
    _, decoded = decode_image("chest", file, SIZE, "bilinear", 10**8)
    assert decoded is not None
    wanted = apply_temperature(answers_of(network, decoded[None]).logits, TEMPERATURE)[0]
    seen = loaded.execute_script("return window.last.probabilities")
    assert np.abs(np.array(seen) - wanted).max() < PROBABILITY_TOLERANCE


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.png", b"This is a text.", "is not an image"),
        ("empty.png", b"", "is empty"),
        ("slice.dcm", b"\0" * 128 + b"DICM" + b"\0" * 99, "The DICOM file is damaged"),
        ("lateral.dcm", dicom_bytes(dicom_of(ViewPosition="LL")), "no frontal chest radiograph"),
        ("ct.dcm", dicom_bytes(dicom_of(Modality="CT")), "(modality CT)"),
        ("leg.dcm", dicom_bytes(dicom_of(BodyPartExamined="LEG")), "(body part LEG)"),
        ("side.dcm", dicom_bytes(dicom_of(PatientOrientation=["A", "F"])), "patient orientation"),
        ("coded.dcm", dicom_bytes(with_view_code("Lateral projection")), "(view LAT)"),
        ("packed.dcm", compressed(dicom_of(), JPEG2000Lossless), "JPEG 2000 Lossless (1.2.840"),
        ("scan.tif", b"II*\0" + b"\0" * 99, "a TIFF image"),
        ("half.png", None, "cut off"),
        ("half.jpg", None, "cut off"),
        ("flipped.png", None, "a checksum does not match"),
        ("tiny.png", None, "smaller than 16 pixels"),
        ("blank.png", None, "one grey level throughout"),
        ("huge.png", None, "10000 x 10000 pixels, more than the 50 million"),
        ("ink.jpg", None, "CMYK"),
    ],
)
def test_what_is_no_xray_is_refused_in_a_sentence(
    loaded: Browser, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    file = tmp_path / name
    grey = Image.fromarray(xray(1))
    if content is not None:
        file.write_bytes(content)
    elif name == "huge.png":
        big_png(file)
    elif name == "blank.png":
        Image.new("L", (64, 64), 7).save(file)
    elif name == "tiny.png":
        grey.resize((8, 40)).save(file)
    elif name == "ink.jpg":
        grey.convert("CMYK").save(file)
    else:
        grey.save(file)
        whole = bytearray(file.read_bytes())
        if name == "flipped.png":
            whole[len(whole) // 2] ^= 1
        file.write_bytes(whole if name == "flipped.png" else whole[: len(whole) // 2])
    said = choose(loaded, file)
    assert words in said
    assert said.startswith(name)
    # What the workflow reads, the page sends there.
    is_read_there = name in ("packed.dcm", "scan.tif", "huge.png")
    assert ("snakemake predict --config predict_images=FILE" in said) == is_read_there
    assert not loaded.find_element(By.ID, "result").is_displayed()


def test_no_prediction_stands_without_verdict_and_notice(
    loaded: Browser, images: list[Path]
) -> None:
    choose(loaded, images[0])
    assert loaded.find_element(By.CSS_SELECTOR, ".sentence").text == f"{ANSWER} {SENTENCE}"
    notices = loaded.find_elements(By.CSS_SELECTOR, ".notice")
    assert [notice.text for notice in notices if notice.is_displayed()] == [NOTICE] * 2
    rows = loaded.find_elements(By.CSS_SELECTOR, "#probabilities tr")
    assert [row.find_element(By.TAG_NAME, "th").text for row in rows] == CLASSES
    shares = [float(row.find_element(By.CSS_SELECTOR, ".number").text[:-2]) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert "40 validation images" in loaded.find_element(By.CSS_SELECTOR, "#said caption").text


def test_likeness_is_that_of_python(
    found: list[dict[str, Any]], images: list[Path], trained_on: TrainingPictures
) -> None:
    decoded = [decode_image(file.stem, file, SIZE, "bilinear", 10**8)[0] for file in images]
    small = np.frombuffer(b"".join(facts["thumbnail"] for facts in decoded), dtype=np.uint8)
    small = small.reshape(-1, *trained_on.pictures.shape[1:])
    wanted = likeness(small, trained_on.pictures)
    for key in ("similarity", "gain"):
        seen = np.array([one[key] for one in found])
        assert np.abs(seen - getattr(wanted, key)).max() < 0.005, key
    assert [one["change"] for one in found] == wanted.change
    rows = trained_on.pictures.reshape(N_TRAINING, -1).astype(float)
    for one, picture in zip(found, small, strict=True):
        correlations = [np.corrcoef(picture.ravel(), row)[0, 1] for row in rows]
        nearest = np.argsort(correlations)[::-1][:5]
        assert one["nearest"][0] == trained_on.labels[nearest[0]]
        assert len(one["nearest"]) == 5


def test_the_most_similar_training_images_are_shown_with_their_labels(
    loaded: Browser, images: list[Path]
) -> None:
    choose(loaded, images[0])  # X-ray 0, which is among the training images
    shown = loaded.find_elements(By.CSS_SELECTOR, "#nearest li")
    assert len(shown) == 5
    assert shown[0].text.split("\n")[-1].endswith("1.00")
    assert shown[0].find_element(By.TAG_NAME, "b").text == CLASSES[0]
    likeness = loaded.find_element(By.ID, "likeness").text
    assert "Of 60 of the 120 training images" in " ".join(likeness.split())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("in colour", "the image is in colour"),
        ("inverted", "with black and white exchanged"),
        ("turned", "turned by 90° to the right"),
        ("noise", "it is unlike every training image"),
        ("faint", "the image is blank or nearly so"),
    ],
)
def test_what_is_unlike_the_training_images_gets_no_answer(
    loaded: Browser, images: list[Path], tmp_path: Path, kind: str, words: str
) -> None:
    file = tmp_path / "holiday.png"
    grey = xray(1, 80)
    pictures = {
        "in colour": Image.merge("RGB", [Image.fromarray(xray(n, 80)) for n in (1, 2, 3)]),
        "inverted": Image.fromarray(255 - grey),
        "turned": Image.fromarray(np.rot90(grey, -1).copy()),
        "noise": Image.fromarray(
            np.random.default_rng(0).integers(0, 256, (80, 80), dtype=np.uint8)
        ),
        "faint": Image.fromarray((100 + grey / 64).astype(np.uint8)),
    }
    pictures[kind].save(file)
    choose(loaded, file)
    assert words in loaded.find_element(By.ID, "unlike").text
    assert not loaded.find_element(By.ID, "said").is_displayed()
    assert not loaded.find_element(By.ID, "evidence").is_displayed()
    assert loaded.find_element(By.ID, "nearest").is_displayed()
    choose(loaded, images[0])
    assert not loaded.find_element(By.ID, "unlike").is_displayed()
    assert loaded.find_element(By.ID, "said").is_displayed()
    assert loaded.find_element(By.ID, "evidence").is_displayed()


def test_slider_and_class_change_the_evidence_by_keyboard(
    loaded: Browser, images: list[Path]
) -> None:
    choose(loaded, images[0])
    slider, evidence = (loaded.find_element(By.ID, name) for name in ("opacity", "evidence"))
    slider.send_keys(Keys.HOME)
    assert evidence.value_of_css_property("opacity") == "0"
    slider.send_keys(Keys.END)
    assert evidence.value_of_css_property("opacity") == "1"
    assert loaded.find_element(By.ID, "opacity-shown").text == "100 %"
    drawn = "return document.getElementById('evidence').toDataURL()"
    pictures = set()
    for name in CLASSES:
        Select(loaded.find_element(By.ID, "map-class")).select_by_visible_text(name)
        pictures.add(loaded.execute_script(drawn))
    assert len(pictures) == len(CLASSES)


def test_evidence_is_drawn_as_python_draws_it(loaded: Browser, viewer: Path) -> None:
    from workflow_scripts.cxrcam.maps.overlays import evidence_layer
    from workflow_scripts.cxrcam.maps.placement import normalise_map, place_map

    seen = loaded.execute_script(
        "const canvas = document.getElementById('evidence');"
        "const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
        "return [canvas.width, document.getElementById('map-class').selectedIndex,"
        " Array.from(data.filter((_, i) => i % 4 === 3)), window.last.maps]"
    )
    side, k, opacity, maps = seen
    cells = round(len(maps[k]) ** 0.5)
    raw = np.array(maps[k], dtype=np.float32).reshape(cells, cells)
    placed = place_map(raw, side, input_size=SIZE, stride=32, offset=0)
    wanted = np.asarray(evidence_layer(normalise_map(placed, 5.0)).convert("RGBA"), dtype=int)
    difference = np.abs(np.array(opacity).reshape(side, side) - wanted[..., 3])
    assert (wanted[..., 3] > 0).any()
    # But for rounding at the edge of a region, where a line may be a pixel off.
    assert np.mean(difference <= 2) > 0.999


def test_nothing_left_the_page_and_nothing_was_reported(
    loaded: Browser, requests: tuple[int, list[str]]
) -> None:
    outside = "http://example.org/?image=1"
    refused = loaded.execute_async_script(
        "const [address, done] = arguments;"
        "fetch(address, {mode: 'no-cors'}).then(() => done('sent'), () => done('refused'))",
        outside,
    )
    assert refused == "refused"
    log = loaded.get_log("browser")
    assert [entry["message"] for entry in log if "example.org" not in entry["message"]] == []
    assert any("Content Security Policy" in entry["message"] for entry in log)
    assert sent_by_pages(requests[1]) == []


def test_the_worker_that_sees_the_image_may_send_nothing_either(
    loaded: Browser, requests: tuple[int, list[str]]
) -> None:
    refused = loaded.execute_async_script(
        "const done = arguments[0]; const text = `fetch('http://example.org/?image=2',"
        " {mode: 'no-cors'}).then(() => postMessage('sent'), () => postMessage('refused'))`;"
        "const file = new Blob([text], {type: 'text/javascript'});"
        "const worker = new Worker(URL.createObjectURL(file), {type: 'module'});"
        "worker.onmessage = ({data}) => done(data)"
    )
    loaded.get_log("browser")
    assert refused == "refused"
    assert sent_by_pages(requests[1]) == []


def test_the_page_is_never_wider_than_the_screen(
    loaded: Browser, images: list[Path], fits_the_screen: Callable[..., None]
) -> None:
    fits_the_screen("viewer", lambda: choose(loaded, images[0]))


def test_the_recorder_of_requests_does_record(
    loaded: Browser, requests: tuple[int, list[str]]
) -> None:
    loaded.get("http://example.org/seen")
    assert "http://example.org/seen" in requests[1]


def test_from_disk_the_page_says_how_to_start_it(browser: Browser, viewer: Path) -> None:
    browser.get((viewer / "index.html").as_uri())
    assert "python -m workflow_scripts.cxrcam.viewer.serve" in status(browser)

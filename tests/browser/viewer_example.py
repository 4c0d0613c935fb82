"""A small network in the viewer, files to drop on it, and what its page says."""

import struct
import time
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydicom.dataset import Dataset
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.unit.test_dicom import dicom
from tests.workflow.small_project import xray
from workflow_scripts.cxrcam.data.fingerprints import thumbnail
from workflow_scripts.cxrcam.duplicates.likeness import usual_likeness
from workflow_scripts.cxrcam.export.facts import network_facts
from workflow_scripts.cxrcam.export.graph import output_names, traced
from workflow_scripts.cxrcam.export.onnx_files import onnx_bytes, onnx_model
from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.models import ModelCard, build_classifier
from workflow_scripts.cxrcam.networks.prediction import Predictions, predict
from workflow_scripts.cxrcam.viewer.bundle import build_page
from workflow_scripts.cxrcam.viewer.network_card import network_card
from workflow_scripts.cxrcam.viewer.training_pictures import TrainingPictures

Browser = webdriver.Chrome

CLASSES = ["Normal", "<i>odd & name</i>", "Viral Pneumonia"]
ANSWER = "92 % right (82–96, n = 60): not believable, because a shortcut can explain it."
SENTENCE = "The number cannot be believed: the image border alone reaches <b>81 %</b>."
TEMPERATURE = 1.7
SIZE = 96
N_IMAGES = 20
N_TRAINING = 60
PROBABILITY_TOLERANCE = 1e-3
MAP_TOLERANCE = 1e-2
CARD = ModelCard(
    classes=CLASSES,
    architecture="resnet18",
    image_size=SIZE,
    mean=[0.485, 0.456, 0.406],
    std=[0.229, 0.224, 0.225],
    weights_origin="random",
    configuration_hash="",
    data_fingerprint="",
    training={},
)


def answers_of(model: torch.nn.Module, pixels: np.ndarray) -> Predictions:
    normalisation = Normalisation(tuple(CARD.mean), tuple(CARD.std))
    return predict(model, Backbone("resnet18"), pixels, normalisation, torch.device("cpu"))


def small_network() -> torch.nn.Module:
    """Untrained, with a last layer that tells pictures apart."""
    model = build_classifier(Backbone("resnet18"), len(CLASSES), seed=0).eval()
    head = model.get_submodule("fc")
    pixels = np.stack([xray(number, SIZE) for number in range(16)])
    with torch.no_grad():
        logits = answers_of(model, pixels).logits
        stretch = 2 / logits.std(axis=0)
        head.weight.mul_(torch.from_numpy(stretch)[:, None])
        head.bias.copy_(
            torch.from_numpy(stretch * (head.bias.numpy() - logits.mean(axis=0))).float()
        )
    return model


def small_training_pictures() -> TrainingPictures:
    """Drawn X-rays, of which each third one has the same class."""
    pictures = np.stack([thumbnail(xray(number, SIZE)) for number in range(N_TRAINING)])
    labels = [number % len(CLASSES) for number in range(N_TRAINING)]
    own_groups = [str(number) for number in range(N_TRAINING)]
    return TrainingPictures(pictures, labels, 2 * N_TRAINING, usual_likeness(pictures, own_groups))


def write_viewer(folder: Path, network: torch.nn.Module, trained_on: TrainingPictures) -> None:
    """Write the page of a network, with all that it needs."""
    run = {"dataset": "drawn", "task": "three_class", "scheme": "honest", "fold": 1, "seed": 0}
    facts = network_facts(
        CARD,
        run=run,
        resampling="bilinear",
        blank="none",
        calibration={"temperature": TEMPERATURE, "n": 40},
        map_size=(SIZE // 32, SIZE // 32),
        map_scale=5.0,
        model_sha256="0" * 64,
    )
    whole = onnx_model(traced(network, CARD), output_names(Backbone("resnet18")), facts)
    (folder / "model.onnx").write_bytes(onnx_bytes(whole))
    (folder / "training.bin").write_bytes(trained_on.pictures.tobytes())
    verdict = {"answer": ANSWER, "sentence": SENTENCE}
    card = network_card(facts, verdict, trained_on, is_drawn=False, accept="frontal_chest")
    write_json(folder / "model.json", card)
    build_page(folder, card)


def wait(browser: Browser, condition: str, seconds: float = 120) -> None:
    """Wait until JavaScript says yes."""
    end = time.monotonic() + seconds
    while not browser.execute_script(f"return {condition}"):
        assert time.monotonic() < end, f"{condition}: {status(browser)}"
        time.sleep(0.05)


def status(browser: Browser) -> str:
    return browser.find_element(By.ID, "status").text


def choose(browser: Browser, file: Path) -> str:
    """Choose a file, and what the page then says of it."""
    browser.execute_script("document.getElementById('status').textContent = ''")
    browser.find_element(By.ID, "file").send_keys(str(file))
    said = "document.getElementById('status').textContent"
    wait(browser, f"{said} !== '' && !{said}.startsWith('Reading')")
    return status(browser)


def interlaced_png(grey: np.ndarray) -> bytes:
    """PNG in the seven passes of Adam7, which Pillow reads and does not write."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    lines = b"".join(
        b"\0" + line.tobytes()
        for x, y, dx, dy in (*passes, (0, 1, 1, 2))
        for line in grey[y::dy, x::dx]
    )
    size = struct.pack(">II5B", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 1)
    parts = [(b"IHDR", size), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )


def drawn_images(folder: Path) -> list[Path]:
    """Pictures as X-rays come: kinds of PNG, JPEG, and shapes."""
    files = []
    for number in range(N_IMAGES):
        side = (150, 96, 299, 380)[number % 4]
        grey = Image.fromarray(xray(number, side)).resize((side, side + 31 * (number % 3)))
        kind = ("L", "I;16", "RGB", "RGBA", "P", "1", "LA", "jpeg", "turned", "jpeg RGB")[
            number % 10
        ]
        file = folder / f"{number:02}.{'jpg' if kind.startswith(('jpeg', 'turned')) else 'png'}"
        if kind == "I;16":
            picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 13 + 700)
        elif kind == "RGB":
            picture = Image.merge("RGB", (grey, grey.rotate(180), grey))
        elif kind in ("RGBA", "LA"):
            picture = grey.convert(kind)
            picture.putalpha(grey.rotate(90).resize(grey.size))
        else:
            picture = grey.convert(kind) if kind in ("P", "1") else grey
            picture = grey.convert("RGB") if kind == "jpeg RGB" else picture
        exif = Image.Exif()
        if kind == "turned":
            exif[0x0112] = 6
        if number == 10:
            file.write_bytes(interlaced_png(np.asarray(grey)))
        elif file.suffix == ".jpg":
            picture.save(file, quality=92, exif=exif)
        else:
            picture.save(file)
        files.append(file)
    return files


def dicom_of(**elements: object) -> Dataset:
    """An X-ray as DICOM, with some more elements."""
    dataset = dicom(xray(1, 80).astype(np.uint16) * 16)
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def with_view_code(meaning: str) -> Dataset:
    view = Dataset()
    view.CodeMeaning = meaning
    return dicom_of(ViewCodeSequence=[view])


def big_png(file: Path) -> None:
    """A picture that declares 100 million pixels, in few bytes."""
    Image.new("L", (10_000, 10_000)).save(file)

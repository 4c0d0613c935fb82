"""The viewer without a browser: its card, its server, and what its sources may hold."""

import json
import re
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.duplicates.likeness import Thresholds
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.export.facts import NOTICE, network_facts
from workflow_scripts.cxrcam.images.keypoints import Keypoints
from workflow_scripts.cxrcam.networks.models import ModelCard
from workflow_scripts.cxrcam.new_images.answers import ONLY_DRAWN
from workflow_scripts.cxrcam.terms import DRAWN
from workflow_scripts.cxrcam.verdict.answer import (
    NO_NUMBER,
    NOT_BELIEVABLE,
    NOT_PROVEN,
    NOTHING_AGAINST,
    REASONS,
    TOO_HIGH,
)
from workflow_scripts.cxrcam.viewer import bundle, serve, training_pictures
from workflow_scripts.cxrcam.viewer.bundle import PAGE, find_node, page_sources, page_with_words
from workflow_scripts.cxrcam.viewer.network_card import in_short, network_card
from workflow_scripts.cxrcam.viewer.serve import content_policy, make_server
from workflow_scripts.cxrcam.viewer.training_pictures import TrainingPictures

ANSWER = "92 % right (82–96, n = 60): not proven."
SENTENCE = "The number says less than it seems to."
VERDICT = {"answer": ANSWER, "sentence": SENTENCE, "checks": []}
TRAINED_ON = TrainingPictures(np.zeros((2, 32, 32), np.uint8), [0, 1], 2, Thresholds(0.7, 0.1))


def exported(input_part: str = "whole") -> dict[str, object]:
    """Facts as the export writes them."""
    card = ModelCard(
        classes=["Normal", "COVID"],
        architecture="resnet18",
        image_size=224,
        mean=[0.5] * 3,
        std=[0.5] * 3,
        weights_origin="random",
        configuration_hash="",
        data_fingerprint="",
        training={},
        input_part=input_part,
    )
    return network_facts(
        card,
        run={"dataset": "demo", "task": "two_class", "scheme": "x", "fold": 1, "seed": 0},
        resampling="bilinear",
        blank="none",
        calibration={"temperature": 1.0, "n": 0},
        map_size=(7, 7),
        map_scale=1.0,
        model_sha256="",
    )


def card_of(input_part: str = "whole", **settings: object) -> dict[str, Any]:
    usual = {"is_drawn": False, "accept": "any"}
    return network_card(exported(input_part), VERDICT, TRAINED_ON, **{**usual, **settings})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Address of the page's sources on a server of this machine."""
    for name in ("index.html", "viewer.css"):
        (tmp_path / name).write_bytes((PAGE / name).read_bytes())
    (tmp_path / "runtime.wasm").write_bytes(b"\0asm")
    (tmp_path / "below").mkdir()
    with make_server(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address[:2]
        assert host == "127.0.0.1"
        yield f"http://127.0.0.1:{port}/"
        server.shutdown()


def get(address: str) -> HTTPResponse:
    response: HTTPResponse = urllib.request.urlopen(address, timeout=10)
    return response


def test_the_card_holds_verdict_and_colours_beside_the_export() -> None:
    card = card_of()
    assert card["verdict"]["answer"] == ANSWER
    assert card["verdict"]["sentence"] == SENTENCE
    assert re.fullmatch("([0-9a-f]{6}){256}", card["evidence_colours"])
    # As the cache decodes images of 224 pixels.
    assert card["jpeg_least_side"] == 448
    assert exported().items() <= card.items()


def test_the_card_tells_from_where_on_a_picture_is_unlike() -> None:
    told = card_of()["trained_on"]
    assert (told["least_similarity"], told["most_gain"]) == (0.7, 0.1)
    assert (told["labels"], told["n_training"], told["side"]) == ([0, 1], 2, 32)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        (f"{NOT_BELIEVABLE}, because {REASONS['shortcut']}", "not believable"),
        (f"{NOT_BELIEVABLE} for Mass", "not believable"),
        (TOO_HIGH, "not proven"),
        (NOT_PROVEN, "not proven"),
        (NOTHING_AGAINST, "not proven"),
    ],
)
def test_beside_a_probability_stands_that_it_is_not_proven(word: str, words: str) -> None:
    assert in_short(f"92 % right (82–96, n = 60): {word}.") == words
    assert in_short(NO_NUMBER) == "not proven"


def test_the_card_says_what_the_workflow_would_set_apart() -> None:
    assert card_of()["dicom_refused"] is None
    refused = card_of(accept="frontal_chest")["dicom_refused"]
    assert set(refused) == {"modality", "view", "body part"}
    assert {"CT", "MG"} <= set(refused["modality"])
    assert {"LL", "RAO", "LLD"} <= set(refused["view"])
    json.dumps(refused)


def test_the_page_holds_the_verdict_before_any_script_runs() -> None:
    page = page_with_words(card_of() | {"scheme": "<b>x</b>"})
    assert f"<b>{ANSWER}</b> {SENTENCE}" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page
    assert page.count(NOTICE) == 2
    assert "all 2 training images" in page and DRAWN.lower() not in page.lower()


def test_the_page_of_a_network_of_phantoms_says_so() -> None:
    card = card_of(is_drawn=True)
    assert card["only_drawn"] == ONLY_DRAWN and card_of()["only_drawn"] is None
    assert DRAWN.lower() in page_with_words(card).lower()


def test_pictures_are_those_of_the_training_part_evenly_spread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training_pictures, "MOST_PICTURES", 3)
    names = [f"i{k}" for k in range(10)]
    pictures = np.random.default_rng(0).integers(0, 256, (10, 32, 32), dtype=np.uint8)
    stored = Fingerprints(names, names, Keypoints(np.zeros(10), np.zeros(10)), pictures)
    split = pd.DataFrame({"image_id": names[::-1], "label": ["b", "a"] * 5, "role": "train"})
    split.loc[split["image_id"].isin(["i0", "i9", "i5"]), "role"] = ["test", "validation", "test"]
    chosen = training_pictures.training_pictures(
        split, pd.Series(names, index=names), stored, ["a", "b"]
    )
    # Of i1, i2, i3, i4, i6, i7, i8.
    assert np.array_equal(chosen.pictures, pictures[[1, 4, 8]])
    assert chosen.labels == [1, 0, 0]
    assert chosen.n_training == 7
    assert -1 < chosen.thresholds.similarity < 0.2  # noise is like nothing


def test_a_network_of_covered_images_gets_no_viewer() -> None:
    with pytest.raises(InputError, match="covered images"):
        card_of("lungs_only")


def test_every_answer_of_the_server_is_under_the_policy_of_the_page(served: str) -> None:
    for name, kind in (
        ("", "text/html"),
        ("viewer.css", "text/css"),
        ("runtime.wasm", "application/wasm"),
    ):
        response = get(served + name)
        policy = response.headers["Content-Security-Policy"]
        assert response.headers.get_content_type() == kind
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["below/", "nothing", "../secret"])
def test_the_server_lists_no_folder_and_leaves_its_own_for_nothing(served: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        get(served + path)
    assert error.value.code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("evil.example:{port}", 421),
        ("127.0.0.1", 421),
        ("localhost:1", 421),
        ("", 421),
    ],
)
def test_the_server_answers_to_its_own_names_only(served: str, host: str, status: int) -> None:
    port = urlsplit(served).port
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/viewer.css", headers={"Host": host.format(port=port)})
    assert connection.getresponse().status == status
    connection.close()


def test_the_server_follows_no_link_out_of_its_folder(served: str, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(outside / "secret")
    (tmp_path / "folder").symlink_to(outside)
    for path in ("link", "folder/secret"):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(served + path)
        assert error.value.code == 404


def test_a_path_with_a_control_character_is_a_bad_request(served: str) -> None:
    for path in ("%00", "viewer.css%0a"):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(served + path)
        assert error.value.code == 400


def test_silent_and_leaving_clients_stop_nobody_and_print_nothing(
    served: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve._Handler, "timeout", 0.5)
    address = ("127.0.0.1", urlsplit(served).port)
    silent = [socket.create_connection(address, timeout=10) for _ in range(12)]
    silent[0].sendall(b"GET /viewer.css HTTP/1.1\r\nHost: x\r\n")
    silent[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    silent[0].close()  # with a reset
    assert get(served).status == 200
    for connection in silent[1:]:
        connection.close()
    assert capfd.readouterr() == ("", "")


def test_without_a_page_the_server_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="snakemake viewer"):
        make_server(tmp_path)


def test_without_node_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match=r"Node\.js 18 or newer"):
        find_node()


def test_the_policy_allows_no_place_but_the_pages_own() -> None:
    policy = content_policy((PAGE / "index.html").read_text(encoding="utf-8"))
    allowed = {word for rule in policy.split(";") for word in rule.split()[1:]}
    assert allowed == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:", "data:"}


def test_packages_are_pinned_with_checksums_and_without_places() -> None:
    package = json.loads((PAGE / "package.json").read_text(encoding="utf-8"))
    pins = package["dependencies"] | package["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in pins.values())
    lock = json.loads((PAGE / "package-lock.json").read_text(encoding="utf-8"))
    locked = {name: entry for name, entry in lock["packages"].items() if name}
    assert all(entry["integrity"].startswith("sha512-") for entry in locked.values())
    assert all("resolved" not in entry for entry in locked.values())
    assert {f"node_modules/{name}" for name in pins} <= locked.keys()


def test_sources_of_the_page_name_no_address_that_is_fetched_from() -> None:
    for file in page_sources():
        text = file.read_text(encoding="utf-8")
        # Addresses stand in comments only.
        code = re.sub(r"^\s*(//|\*|/\*).*$", "", text, flags=re.MULTILINE)
        assert re.findall(r"https?://[^\s\"']+", code) == [], file.name

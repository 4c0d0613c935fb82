"""The network that travels says what the network here says, and tells nothing of this machine."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from scipy.special import softmax

from tests.unit.export_example import (
    CLASSES,
    EVIL,
    example_card,
    example_facts,
    example_network,
    example_page,
)
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.export.graph import (
    PixelsToMaps,
    output_names,
    pt2_bytes,
    resizing_matrix,
    traced,
)
from workflow_scripts.cxrcam.export.model_card import model_card
from workflow_scripts.cxrcam.export.onnx_files import (
    onnx_bytes,
    onnx_model,
    write_exported,
)
from workflow_scripts.cxrcam.export.parity import (
    TOLERANCE,
    Outputs,
    differences,
    loss,
    measured_files,
    onnx_outputs,
    parity_table,
    pt2_outputs,
    require_parity,
    spread_evenly,
)
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.input_size import resize_pixels
from workflow_scripts.cxrcam.networks.models import ModelCard
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained

# Networks that are tried with sub-classes: one a kind of last layer and of map.
IN_PARTS = ("resnet18", "squeezenet1_1", "densenet121", "vgg19")
# Not described: a linear layer behind a mean, and one behind a normalisation of it.
FOUND = ["shufflenet_v2_x1_0", "convnext_tiny"]
FILES = {"float32": "model.onnx", "float16": "model-float16.onnx", "pt2": "model.pt2"}

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def pictures(n: int, size: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, size, size), dtype=np.uint8)


def said_here(network: torch.nn.Module, card: ModelCard, pixels: np.ndarray) -> Outputs:
    """What `predict_run` writes into predictions.parquet and maps.parquet."""
    result = predict_as_trained(network, card, pixels, torch.device("cpu"))
    return Outputs(result.logits, result.evidence)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet18 of 64 pixels as all files, one thread."""
    folder = tmp_path_factory.mktemp("exported")
    card = example_card("resnet18")
    write_exported(
        *(example_network("resnet18"), card, example_facts(card)),
        **{kind: str(folder / name) for kind, name in FILES.items()},
    )
    return folder


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_a_float32_file_says_what_the_network_says_for_a_batch_of_any_size(exported, name, n):
    pixels = pictures(n, 64)
    read = onnx_outputs if name.endswith("onnx") else pt2_outputs
    outputs = read(exported / name, pixels)
    reference = said_here(example_network("resnet18"), example_card("resnet18"), pixels)
    assert (outputs.logits.shape, outputs.maps.shape) == ((n, 2), (n, 2, 2, 2))
    found = differences(outputs, reference)
    assert found["logits"] < TOLERANCE and found["maps"] < TOLERANCE
    assert found["largest_map"] > 100 * TOLERANCE  # the claim is not empty
    require_parity(name, found)


def test_float16_weights_halve_the_file_and_change_little(exported):
    small, whole = exported / "model-float16.onnx", exported / "model.onnx"
    assert small.stat().st_size < 0.51 * whole.stat().st_size
    found = differences(onnx_outputs(small, pictures(3, 64)), onnx_outputs(whole, pictures(3, 64)))
    assert 0 < found["logits"] < 0.01 and 0 < found["maps"] < 0.05


@pytest.mark.parametrize("name", ["model.onnx", "model-float16.onnx"])
def test_an_onnx_file_is_valid_and_knows_what_it_is(exported, name):
    model = onnx.load(exported / name)
    onnx.checker.check_model(model, full_check=True)
    assert [o.version for o in model.opset_import if o.domain == ""] == [18]
    (pixels,) = model.graph.input
    assert [d.dim_param or d.dim_value for d in pixels.type.tensor_type.shape.dim] == [
        *("batch", 1, 64, 64)
    ]
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["classes"]) == ["Normal", EVIL]
    assert (told["architecture"], json.loads(told["map_stride"])) == ("resnet18", 32)
    assert json.loads(told["temperature"]) == 2.0
    assert told["notice"].startswith("Research use only")


def test_no_file_tells_where_the_code_lay_or_holds_a_pickle(exported):
    root = str(Path(__file__).parents[2]).encode()
    for file in exported.iterdir():
        content = file.read_bytes()
        for told in (root, b"site-packages", b"stack_trace\x12", b'"stack_trace"'):
            assert told not in content, f"{file.name} holds {told!r}"
    with zipfile.ZipFile(exported / "model.pt2") as archive:
        # A pickle begins with its protocol; PyTorch packs one into an archive of its own.
        for entry in archive.namelist():
            assert not archive.read(entry).startswith((b"\x80\x02", b"PK\x03\x04")), entry
        config = json.loads(archive.read("archive/data/weights/model_weights_config.json"))
        assert not any(weight["use_pickle"] for weight in config["config"].values())
        told = json.loads(archive.read("archive/extra/model.json"))
    assert told["classes"] == ["Normal", EVIL]


def test_exporting_twice_gives_the_same_bytes():
    contents = []
    for _ in range(2):
        card = example_card("squeezenet1_1", 48)
        program = traced(example_network("squeezenet1_1"), card)
        facts = example_facts(card)
        model = onnx_model(program, output_names(Backbone("squeezenet1_1")), facts)
        contents.append((pt2_bytes(program, facts), onnx_bytes(model)))
    assert contents[0] == contents[1]


def test_the_snippet_of_the_card_gives_our_probabilities(exported, tmp_path):
    facts = example_facts(example_card("resnet18"))
    (tmp_path / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    (tmp_path / "model.onnx").symlink_to(exported / "model.onnx")
    grey = np.random.default_rng(0).integers(0, 256, (90, 70), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "xray.png")
    card = model_card(example_page(facts))
    (snippet,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        **{"cwd": tmp_path, "capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    reference = said_here(
        example_network("resnet18"), example_card("resnet18"), resize_grey(grey, 64)[None]
    )
    expected = softmax(reference.logits[0] / facts["temperature"])
    *lines, notice = done.stdout.splitlines()
    assert lines == [f"{k}: {p:.3f}" for k, p in zip(CLASSES, expected, strict=True)]
    assert notice == facts["notice"]


@pytest.mark.parametrize(
    ("architecture", "sub_classes"),
    [*((name, 1) for name in (*ARCHITECTURES, *FOUND)), *((name, 2) for name in IN_PARTS)],
)
def test_the_graph_of_every_network_is_what_predict_does(architecture, sub_classes):
    side = max(48, Backbone(architecture).known.minimum_size)
    card = example_card(architecture, 40, side, sub_classes)  # resized within the graph
    network, pixels = example_network(architecture, sub_classes), pictures(2, 40)
    with torch.no_grad():
        outputs = PixelsToMaps(network, card)(torch.from_numpy(pixels)[:, None].float())
    reference = said_here(network, card, pixels)
    exact = Backbone(architecture).map_kind == "exact"
    maps = [torch.from_numpy(reference.maps)] if exact else []
    assert len(outputs) == len(output_names(Backbone(architecture)))
    assert np.abs(reference.logits).max() > 100 * TOLERANCE  # the claim is not empty
    for found, expected in zip(outputs, (torch.from_numpy(reference.logits), *maps), strict=True):
        torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", ["resnet18", "squeezenet1_1"])
def test_files_of_networks_with_sub_classes_say_what_the_network_says(architecture, tmp_path):
    card, network = example_card(architecture, sub_classes=3), example_network(architecture, 3)
    with torch.no_grad():  # so that the shares of the sub-classes are not alike
        network.get_submodule(card.backbone.head).weight.mul_(3)
    files = {kind: tmp_path / name for kind, name in FILES.items()}
    write_exported(network, card, example_facts(card), **{k: str(f) for k, f in files.items()})
    pixels = pictures(3, 64)
    reference = said_here(network, card, pixels)
    assert reference.maps.shape[:2] == (3, 2)
    for kind, read in (("float32", onnx_outputs), ("pt2", pt2_outputs)):
        found = differences(read(files[kind], pixels), reference)
        require_parity(files[kind].name, found)
        assert found["largest_map"] > 100 * TOLERANCE  # the claim is not empty


def test_resizing_in_the_graph_is_the_resizing_of_training():
    for source, target in ((40, 75), (75, 40)):
        pixels = torch.from_numpy(pictures(2, source))
        matrix = resizing_matrix(source, target)
        expected = resize_pixels(pixels, target)
        torch.testing.assert_close(
            matrix @ pixels.float() @ matrix.T, expected, rtol=0, atol=2e-4
        )  # of 255
    assert resizing_matrix(40, 40) is None


def outputs_of(logit: float, activation: float) -> Outputs:
    return Outputs(np.full((2, 2), logit, "f4"), np.full((2, 2, 1, 1), activation, "f4"))


@pytest.mark.parametrize(
    ("found", "named"),
    [((1.001, 0.5), "logits"), ((1.0, 0.501), "maps"), ((np.nan, 0.5), "logits")],
)
def test_a_file_that_says_something_else_is_refused_in_a_sentence(found, named):
    measured = differences(outputs_of(*found), outputs_of(1.0, 0.5))
    with pytest.raises(InputError, match=rf"model\.onnx differs .* in its {named} on 2 images"):
        require_parity("model.onnx", measured)


def test_large_values_may_differ_by_what_float32_rounds():
    require_parity("model.onnx", differences(outputs_of(1.0, 1000.05), outputs_of(1.0, 1000.0)))


def test_what_a_smaller_file_loses_is_counted():
    reference = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    found = loss(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), reference, np.array([0, 0, 1]))
    assert (found["n"], found["same_answer"], found["accuracy"]) == (3, 2 / 3, 2 / 3)
    assert found["accuracy_of_run"] == 1.0
    assert found["probabilities"] == pytest.approx(0.2)


def test_images_to_compare_on_are_spread_and_none_comes_twice():
    assert spread_evenly(5, 100).tolist() == [0, 1, 2, 3, 4]
    chosen = spread_evenly(1000, 100)
    assert len(set(chosen.tolist())) == 100 and {0, 999} <= set(chosen.tolist())


def test_every_file_is_measured_and_only_float16_may_differ(exported, monkeypatch):
    files = {kind: str(exported / name) for kind, name in FILES.items()}
    pixels, few = pictures(4, 64), np.array([0, 3])
    reference = said_here(example_network("resnet18"), example_card("resnet18"), pixels)
    of_run, truth = reference.probabilities, np.array([0, 1, 0, 1])
    measured = measured_files(files, pixels, few, reference.of(few), of_run, truth, threads=1)
    assert list(measured) == list(FILES.values())
    assert measured["model.pt2"]["bytes"] == (exported / "model.pt2").stat().st_size
    assert {name: found["difference"]["n"] for name, found in measured.items()} == dict.fromkeys(
        FILES.values(), 2
    )
    assert measured["model.onnx"]["loss"]["same_answer"] == 1.0
    table = parity_table(measured).set_index("file")
    assert table["loss_n"].tolist()[:2] == [4, 4] and table["loss_n"].isna().tolist()[2]
    assert table.loc["model-float16.onnx", "difference_logits"] > 0
    other = Outputs(reference.logits + 0.1, reference.maps).of(few)
    only = {"float16": files["float16"]}
    assert measured_files(only, pixels, few, other, of_run, truth, threads=1)
    with pytest.raises(InputError, match=r"model\.onnx differs from the network"):
        measured_files(files, pixels, few, other, of_run, truth, threads=1)

"""Every network that the workflow knows, as ONNX: about ten seconds each."""

from pathlib import Path

import pytest

from tests.unit.export_example import example_card, example_facts, example_network
from tests.unit.test_export import pictures, said_here
from workflow_scripts.cxrcam.export.graph import output_names, traced
from workflow_scripts.cxrcam.export.onnx_files import onnx_bytes, onnx_model
from workflow_scripts.cxrcam.export.parity import differences, onnx_outputs, require_parity
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_onnx_file_of_every_network_says_what_the_network_says(
    architecture: str, tmp_path: Path
) -> None:
    card = example_card(architecture, 64, max(64, ARCHITECTURES[architecture].minimum_size))
    network, pixels = example_network(architecture), pictures(3, 64)
    names = output_names(Backbone(architecture))
    model = onnx_model(traced(network, card), names, example_facts(card))
    assert [output.name for output in model.graph.output] == list(names)
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(model))
    measured = differences(
        onnx_outputs(tmp_path / "model.onnx", pixels), said_here(network, card, pixels)
    )
    assert (measured["maps"] is None) == (Backbone(architecture).map_kind == "grad_cam")
    require_parity("model.onnx", measured)
    assert measured["largest_logit"] > 0.01  # the claim is not empty
    print(f"{architecture}: {measured}")

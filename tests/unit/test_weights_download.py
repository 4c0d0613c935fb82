"""Fetching published weights: resumed, verified, and every way it can fail told in a sentence."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.unit.weights_server import (
    PROXY_VARIABLES,
    WeightsServer,
    published_file,
    weights_server,
)
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.weights import download as weights_download
from workflow_scripts.cxrcam.networks.weights.download import fetch_verified
from workflow_scripts.cxrcam.networks.weights.files import WeightsError

pytestmark = pytest.mark.usefixtures("one_torch_thread")

NAME, CONTENT = published_file({"a.weight": torch.arange(5000.0)})
CUT = 3000  # bytes


@pytest.fixture(autouse=True)
def quick_and_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_download, "PAUSE", 0)
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with weights_server(CONTENT) as running:
        yield running


def address(server: WeightsServer, name: str = NAME) -> str:
    return f"{server.address}/models/{name}"


def refusal(url: str, folder: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        fetch_verified(url, folder)
    assert isinstance(caught.value, InputError)
    assert url in str(caught.value)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def ranges(server: WeightsServer) -> list[str | None]:
    return [asked for _, asked in server.asked]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_published_file_is_fetched_whole_into_a_new_folder(server, tmp_path):
    path = fetch_verified(address(server), tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / NAME
    assert path.read_bytes() == CONTENT
    assert files(path.parent) == [NAME]
    assert server.asked == [(f"/models/{NAME}", None)]


def test_a_file_that_is_there_already_is_not_fetched_again(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    fetch_verified(address(server), tmp_path)
    assert server.asked == []
    (tmp_path / NAME).write_bytes(CONTENT[:-1])  # unless it is another one
    assert fetch_verified(address(server), tmp_path).read_bytes() == CONTENT


def test_a_cut_off_file_is_resumed_within_one_call(server, tmp_path):
    server.faults = [CUT, CUT]
    assert fetch_verified(address(server), tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    assert files(tmp_path) == [NAME]


def test_what_came_before_a_cut_is_kept_for_the_next_call(server, tmp_path):
    server.faults = [CUT, 0, 0]
    message = refusal(address(server), tmp_path)
    assert f"it was cut off after 0 of {len(CONTENT) - CUT} bytes" in message
    assert f"What came is kept in {tmp_path / NAME}.part: run again to go on." in message
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:CUT]
    assert fetch_verified(address(server), tmp_path).read_bytes() == CONTENT
    assert ranges(server)[-1] == f"bytes={CUT}-"
    assert files(tmp_path) == [NAME]


def test_a_server_that_ignores_ranges_is_asked_for_all_of_it(server, tmp_path):
    server.faults = [CUT, "no ranges"]
    assert fetch_verified(address(server), tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CUT}-"]


def test_a_part_that_lacks_nothing_is_taken(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert fetch_verified(address(server), tmp_path).read_bytes() == CONTENT
    assert files(tmp_path) == [NAME]


@pytest.mark.parametrize("part", [b"other bytes", CONTENT + b"more"], ids=["shorter", "longer"])
def test_a_part_of_something_else_is_thrown_away_and_all_fetched_anew(server, tmp_path, part):
    (tmp_path / f"{NAME}.part").write_bytes(part)
    assert fetch_verified(address(server), tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={len(part)}-", None]


def test_a_file_with_another_checksum_than_its_name_says_is_deleted(server, tmp_path):
    name = "resnet18-00000000.pth"
    assert "another checksum than the one in its name" in refusal(address(server, name), tmp_path)
    assert files(tmp_path) == []
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "name",
    ["resnet18.pth", "resnet18-f37072f.pth", "resnet18-f37072fd.pt", "resnet18-F37072FD.pth"],
)
def test_a_name_without_a_checksum_is_not_even_asked_for(server, tmp_path, name):
    assert "holds no checksum" in refusal(address(server, name), tmp_path)
    assert server.asked == []


def test_only_http_is_spoken(tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    message = refusal((tmp_path / NAME).as_uri(), tmp_path / "folder")
    assert "neither an http nor an https address" in message


def test_a_file_that_the_server_does_not_have_is_said_to_be_missing(server, tmp_path):
    server.faults = ["404"]
    assert "the server answered 404 (Not Found)" in refusal(address(server), tmp_path)
    assert files(tmp_path) == []
    assert len(server.asked) == 1


def test_no_route_is_said_to_be_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = refusal(f"http://127.0.0.1:{port}/{NAME}", tmp_path)
    assert "no connection (" in message
    assert "refused" in message


def test_a_server_that_does_not_answer_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(weights_download, "TIMEOUT", 0.2)
    server.faults = ["silent"]
    assert "no answer within 0.2 s" in refusal(address(server), tmp_path)
    assert len(server.asked) == 1


def test_a_server_that_falls_silent_is_given_up_and_what_came_is_kept(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(weights_download, "TIMEOUT", 0.2)
    server.faults = [("stall", CUT)]
    message = refusal(address(server), tmp_path)
    assert "nothing came for 0.2 s" in message
    assert "run again to go on" in message
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:CUT]
    fetch_verified(address(server), tmp_path)
    assert ranges(server) == [None, f"bytes={CUT}-"]


def test_a_full_disk_is_not_taken_for_a_fault_of_the_network(server, tmp_path, monkeypatch):
    (tmp_path / f"{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        fetch_verified(address(server), tmp_path)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_of_the_environment_is_asked_with_the_whole_address(
    server, tmp_path, monkeypatch, variable
):
    monkeypatch.setenv(variable, server.address)
    url = f"http://weights.invalid/models/{NAME}"
    server.faults = [CUT]
    assert fetch_verified(url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [(url, None), (url, f"bytes={CUT}-")]


def test_no_proxy_is_asked_where_the_environment_excepts_the_server(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert "no connection" in refusal(address(server), tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch_verified(address(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [(f"/models/{NAME}", None)]

"""What the project trusts: pinned libraries, no code in data, nothing of a patient in outputs."""

import ast
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from tests.shards import write_shard
from tests.unit.pictures import encoded, picture
from tests.unit.test_dicom import dicom, dicom_bytes
from workflow_scripts.cxrcam.data.decoding import decode_images
from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.files import atomic_path, write_json
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.maps.captioned_overlay import captioned_overlay
from workflow_scripts.cxrcam.maps.overlays import save_png
from workflow_scripts.cxrcam.spreadsheets import write_csv

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*(ROOT / "workflow_scripts").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


# --- no code in data, no way out ------------------------------------------------------------------

#: Calls, as they are written, that run text as code or read pickles.
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load"),
    *("pickle.loads", "joblib.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle"),
    *(
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "torch.hub.load",
        "shutil.unpack_archive",
    ),
}
FORBIDDEN_IMPORTS = {
    *(
        "pickle",
        "shelve",
        "marshal",
        "dill",
        "cloudpickle",
        "joblib",
        "requests",
        "httpx",
        "socket",
    ),
    *("ftplib", "smtplib", "telnetlib", "http", "aiohttp", "xmlrpc"),
}
# Names for addresses are harmless; what opens one is not.
NETWORK_IMPORTS = {"urllib", "urllib.request"}
#: Serves the viewer, to this machine's own address only; it connects to nothing.
SERVERS = {("serve.py", "http.server")}
#: The one module that fetches anything, and by checksum only (test_weights_download.py).
DOWNLOADS = {("download.py", f"urllib.{name}") for name in ("error", "request")} | {
    ("download.py", "http.client")
}


def faults(text: str, name: str) -> Iterator[str]:
    """What a file does that it must not."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                if (name, module) in SERVERS | DOWNLOADS:
                    continue
                if module.split(".")[0] in FORBIDDEN_IMPORTS or module in NETWORK_IMPORTS:
                    yield f"{name}:{node.lineno} imports {module}"
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        options = {option.arg: ast.unparse(option.value) for option in node.keywords}
        here = f"{name}:{node.lineno} {call}"
        if call in FORBIDDEN_CALLS or "urlopen" in call or "urlretrieve" in call:
            yield here
        if call == "torch.load" and options.get("weights_only") != "True":
            yield f"{here} without weights_only=True"
        if call.endswith("load_state_dict_from_url"):
            yield f"{here} unchecked"
        if options.get("shell", "False") != "False":
            yield f"{here} with a shell"
        if call in {"np.load", "numpy.load"} and options.get("allow_pickle", "False") != "False":
            yield f"{here} with pickles"
        if call == "yaml.load" and "Loader" not in options:
            yield f"{here} without a safe loader"


def test_no_script_runs_data_as_code_or_opens_a_connection() -> None:
    assert len(SCRIPTS) > 100
    found = [fault for file in SCRIPTS for fault in faults(file.read_text("utf-8"), file.name)]
    assert found == []


def test_one_function_downloads_and_verifies() -> None:
    opening = [
        (file.name, function.name)
        for file in SCRIPTS
        for function in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef) and "build_opener(" in ast.unparse(function)
    ]
    assert len(opening) == 1
    assert opening[0][0] == "download.py"


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import load",
        "eval('1')",
        "os.system('ls')",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=flag)",
        "urllib.request.urlopen(address)",
        "from urllib.request import urlopen",
        "torch.hub.load_state_dict_from_url(u)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
    ],
)
def test_the_search_for_such_calls_finds_them(text: str) -> None:
    assert list(faults(text, "models.py"))


def test_rules_use_no_shell_and_no_foreign_code() -> None:
    for file in RULES:
        text = re.sub("#.*", "", file.read_text("utf-8"))
        # One container, which the user builds and names, and only `--sdm apptainer` asks for it.
        text = text.replace('container: config["compute"]["container"]', "")
        for directive in ("shell", "run", "wrapper", "container", "storage"):
            assert not re.search(rf"^\s*{directive}:", text, re.MULTILINE), (file.name, directive)
        assert not re.search(r"\b(eval|exec|os\.system|subprocess|urlopen|pickle)\b", text), (
            file.name
        )


def test_every_pinned_library_has_a_hash() -> None:
    text = (ROOT / "envs/requirements.txt").read_text("utf-8").replace("\\\n", " ")
    lines = [
        line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    pins = [line for line in lines if not line.startswith("--")]
    assert len(pins) > 50
    for line in pins:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "--require-hashes -r envs/requirements.txt" in makefile


# --- patients -------------------------------------------------------------------------------------

SECRET = "Mustermann^Erika^19640812"


def named_files(folder: Path) -> list[tuple[str, Path]]:
    """One picture with a patient's name wherever a format can hold one."""
    image = Image.fromarray(picture())
    text = PngInfo()
    text.add_text("Patient", SECRET)
    text.add_itxt("Comment", SECRET, zip=True)
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = SECRET, SECRET  # description, artist
    named = dicom()
    named.PatientName, named.PatientID, named.StudyDescription = SECRET, SECRET, SECRET
    named.PatientBirthDate = SECRET[-8:]
    wrong = dicom()
    # A date that is none: libraries complain of such values and quote them.
    wrong.add_new("PatientName", "PN", SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong.add_new("PatientBirthDate", "DA", SECRET)
        contents = {
            "text.png": encoded(image, pnginfo=text),
            "exif.png": encoded(image, exif=exif),
            "comment.jpg": encoded(image, "JPEG", comment=SECRET.encode(), exif=exif),
            "xmp.jpg": encoded(image, "JPEG", xmp=f"<x>{SECRET}</x>".encode()),
            "tags.tif": encoded(image, "TIFF", description=SECRET, artist=SECRET),
            "named.dcm": dicom_bytes(named),
            "wrong.dcm": dicom_bytes(wrong),
            "cut.dcm": dicom_bytes(named)[:-50],
            "cut.png": encoded(image, pnginfo=text)[:-50],
        }
    for name, content in contents.items():
        if name != "text.png":
            assert any(part in content for part in (SECRET.encode(), SECRET[:10].encode())), name
        (folder / name).write_bytes(content)
    return [(f"A/{k}", folder / name) for k, name in enumerate(contents)]


def test_names_of_patients_reach_no_output_and_no_log(tmp_path, capfd) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "results").mkdir()
    files = named_files(tmp_path / "in")
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            facts, readable, pixels = decode_images(files, 32, "bilinear", 10**6, threads=2)
            for image_id, path in files:
                if image_id in readable:
                    grey = np.resize(read_grey(path, 10**6).pixels, (64, 64))
                    overlay = captioned_overlay(
                        {
                            "grey": grey,
                            "evidence": np.float32(grey / 255),
                            "lung_mask": None,
                            "lesion_mask": None,
                        },
                        image_id=image_id,
                        label="A",
                        predicted="A",
                        probability=0.5,
                        scale_max=1.0,
                        method=None,
                        opacity=0.5,
                        against=False,
                    )
                    save_png(overlay, tmp_path / f"results/{image_id[2:]}.png")
    finally:
        logging.captureWarnings(False)
        logging.getLogger().removeHandler(handler)
    assert len(readable) == len(files) - 2
    write_shard(tmp_path / "results/shard.parquet", readable, pixels, {})
    pq.write_table(facts, tmp_path / "results/facts.parquet", compression="none")
    write_csv(tmp_path / "results/facts.csv", facts.to_pandas())
    outputs = list((tmp_path / "results").iterdir())
    assert len(outputs) == len(readable) + 3
    told = log.getvalue() + "".join(capfd.readouterr())
    for part in ("Mustermann", "Erika", "19640812"):
        assert part not in told
        for output in outputs:
            content = output.read_bytes()
            assert part.encode() not in content, output.name
            assert part.encode("utf-16-le") not in content, output.name
    for output in outputs:
        if output.suffix == ".png":
            with Image.open(output) as made:
                assert set(made.info) <= {"dpi"}


# --- permissions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o007])
def test_outputs_have_the_permissions_that_the_user_asks_for(tmp_path, umask) -> None:
    """Not those of a library's temporary file: a group must be able to read, or must not."""
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "model.safetensors") as temporary:
            save_file({"a": torch.zeros(2)}, temporary)
        write_json(tmp_path / "metrics.json", {"a": 1})
        write_csv(tmp_path / "t.csv", pd.DataFrame({"a": [1]}))
        write_shard(tmp_path / "shard.parquet", ["a"], np.zeros((1, 4, 4), np.uint8), {})
        save_figure(Figure(), tmp_path / "figure")
        save_png(Image.fromarray(picture()), tmp_path / "overlay.png")
        with atomic_path(tmp_path / "frame.parquet") as temporary:
            pd.DataFrame({"a": [1]}).to_parquet(temporary)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(modes) == 8
    assert modes == dict.fromkeys(modes, 0o666 & ~umask)


def test_reading_changes_no_image(tmp_path) -> None:
    files = named_files(tmp_path)
    for _, path in files:
        path.chmod(0o440)
    before = {
        path: (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns) for _, path in files
    }
    decode_images(files, 32, "bilinear", 10**6, threads=1)
    assert before == {
        path: (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns) for _, path in files
    }
    assert len(list(tmp_path.iterdir())) == len(files)

"""Code fingerprints: a change that matters is seen, anything else is not."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from workflow_scripts.cxrcam import code_fingerprint as module
from workflow_scripts.cxrcam.code_fingerprint import (
    code_fingerprint,
    import_closure,
    text_fingerprint,
)

ROOT = Path(__file__).parents[2]
LIBRARIES = ("numpy", "PIL", "torch")

SCRIPT = '''"""Train."""
from workflow_scripts.cxrcam.model import build

if __name__ == "__main__":
    build(3)
'''
MODEL = '''"""Models."""
import numpy as np
from workflow_scripts.cxrcam import layers


def build(n):
    """Build it."""
    # the paper's size
    return layers.dense(n) + np.zeros(n)
'''
LAYERS = '''"""Layers."""


def dense(n):
    return n * 2
'''
UNRELATED = "import torch\n\n\ndef draw():\n    return 1\n"


@pytest.fixture
def project(tmp_path) -> Path:
    """A small copy of our layout: a script, a module that it imports, and one deeper."""
    package = tmp_path / "workflow_scripts"
    (package / "cxrcam").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cxrcam" / "__init__.py").write_text('"""Library."""\n')
    (package / "train.py").write_text(SCRIPT)
    for name, code in (("model", MODEL), ("layers", LAYERS), ("overlays", UNRELATED)):
        (package / "cxrcam" / f"{name}.py").write_text(code)
    return tmp_path


def of(project: Path, script: str = "train.py", memory: Path | None = None) -> str:
    """Fingerprint as a new process finds it: files are read once a process, here they change."""
    module._memory.cache_clear()
    module._installed.cache_clear()
    return code_fingerprint(project / "workflow_scripts" / script, project, LIBRARIES, memory)


@pytest.fixture
def fingerprint(project) -> Callable[[], str]:
    def compute(script: str = "train.py") -> str:
        return of(project, script)

    return compute


def edit(project: Path, name: str, old: str, new: str) -> None:
    path = project / "workflow_scripts" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("cxrcam/model.py", "# the paper's size", "# another remark"),
        ("cxrcam/model.py", "    # the paper's size\n", ""),
        ("cxrcam/model.py", '"""Build it."""', '"""Build the network."""'),
        ("cxrcam/model.py", '    """Build it."""\n', ""),
        ("cxrcam/model.py", '"""Models."""\n', ""),
        ("cxrcam/model.py", "layers.dense(n) + np", "(layers.dense(\n        n\n    )\n    + np"),
        ("cxrcam/layers.py", "n * 2", "(n*2)"),
        ("train.py", '"__main__"', "'__main__'"),
        ("cxrcam/overlays.py", "return 1", "return 2"),
    ],
    ids=[
        *("comment", "no comment", "docstring", "no docstring", "module docstring"),
        *("line breaks", "brackets", "quotes", "a module that is not imported"),
    ],
)
def test_what_does_not_change_the_code_changes_nothing(project, fingerprint, name, old, new):
    before = fingerprint()
    if "(\n" in new:
        edit(project, name, "np.zeros(n)", "np.zeros(n))")
    edit(project, name, old, new)
    ast.parse((project / "workflow_scripts" / name).read_text())
    assert fingerprint() == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("train.py", "build(3)", "build(2)"),
        ("cxrcam/model.py", "np.zeros", "np.ones"),
        ("cxrcam/layers.py", "n * 2", "n * 3"),
        ("cxrcam/layers.py", '"""Layers."""', "SCALE = 2"),
        ("cxrcam/layers.py", "def dense(n)", "def dense(n=1)"),
        ("cxrcam/__init__.py", '"""Library."""', "import os\nos.environ['X'] = '1'"),
        ("__init__.py", "", "SEED = 1\n"),
    ],
    ids=[
        *("the script", "an imported module", "a module deeper", "a constant", "a default"),
        *("the package's __init__", "the top package's __init__"),
    ],
)
def test_what_the_script_runs_counts_however_deep_it_lies(project, fingerprint, name, old, new):
    before = fingerprint()
    if old:
        edit(project, name, old, new)
    else:
        (project / "workflow_scripts" / name).write_text(new)
    assert fingerprint() != before


@pytest.mark.parametrize(
    "line",
    [
        "import workflow_scripts.cxrcam.model",
        "import workflow_scripts.cxrcam.model as m",
        "from workflow_scripts.cxrcam import model",
        "from workflow_scripts.cxrcam.model import build",
        "def late():\n    from workflow_scripts.cxrcam.model import build",
        "if True:\n    import workflow_scripts.cxrcam.model",
    ],
)
def test_every_way_to_import_is_followed(project, line):
    script = project / "workflow_scripts" / "other.py"
    script.write_text(line + "\n")
    assert {path.name for path in import_closure(script, project)} == {
        *("other.py", "__init__.py", "model.py", "layers.py"),
    }


def test_the_closure_of_an_import_outside_is_the_script_itself(project):
    script = project / "workflow_scripts" / "other.py"
    script.write_text("import json, numpy.linalg\nfrom workflow_scripts_of_others import x\n")
    assert import_closure(script, project) == [script]


def test_modules_that_import_each_other_are_no_endless_loop(project, fingerprint):
    edit(project, "cxrcam/layers.py", '"""Layers."""', "import workflow_scripts.cxrcam.model")
    assert len(fingerprint()) == 16


def test_a_library_counts_in_its_version_where_the_closure_imports_it(fingerprint, monkeypatch):
    versions = {"numpy": "2.0", "torch": "2.0"}
    monkeypatch.setattr(module, "version", lambda name: versions[name])
    before = fingerprint()
    versions["torch"] = "2.1"  # only overlays.py imports it
    assert fingerprint() == before
    versions["numpy"] = "2.1"  # model.py, one step away from the script, imports it
    assert fingerprint() != before


def test_pillow_counts_although_it_is_imported_as_pil(project, fingerprint, monkeypatch):
    edit(project, "cxrcam/layers.py", '"""Layers."""', "from PIL import Image")
    versions = {"numpy": "2.0", "pillow": "11"}

    def installed(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(module, "version", installed)
    before = fingerprint()
    versions["pillow"] = "12"
    assert fingerprint() != before
    del versions["pillow"]
    assert len(fingerprint()) == 16  # a library that is not there is no error


def test_every_library_of_the_workflow_is_known_by_its_distribution():
    text = (ROOT / "rules" / "common.smk").read_text(encoding="utf-8")
    (libraries,) = re.findall(r"^RESULT_LIBRARIES = (\(.*?\))", text, re.MULTILINE | re.DOTALL)
    for library in ast.literal_eval(libraries):
        assert module.version(module.DISTRIBUTIONS.get(library, library))


def test_a_relative_import_is_refused_by_file(project):
    script = project / "workflow_scripts" / "other.py"
    script.write_text("from .cxrcam import model\n")
    with pytest.raises(ValueError, match=r"other\.py: relative import"):
        import_closure(script, project)


def test_the_folder_of_the_project_does_not_count(project, fingerprint, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    project.rename(elsewhere)
    moved = of(elsewhere)
    elsewhere.rename(project)
    assert moved == fingerprint()


def test_scripts_of_the_workflow_depend_on_what_they_should():
    def closure(name: str) -> set[str]:
        files = import_closure(ROOT / "workflow_scripts" / name, ROOT)
        library = ROOT / "workflow_scripts/cxrcam"
        inside = [path for path in files if path.is_relative_to(library)]
        return {path.relative_to(library).with_suffix("").as_posix() for path in inside}

    training = closure("train.py")
    assert {"networks/training/loop", "networks/models", "data/cache", "seeds"} <= training
    assert not [name for name in training if name.startswith(("maps/", "figures/", "metrics/"))]
    assert {"networks/prediction", "networks/cam"} <= closure("predict_run.py")
    assert "networks/training/loop" not in closure("cache.py")
    assert "networks/models" not in closure("splits.py")


def test_each_rule_runs_the_script_of_its_name_and_passes_the_fingerprint_of_no_other():
    seen = set()
    for file in sorted((ROOT / "rules").glob("*.smk")):
        rules = re.split(r"\n(?:use )?rule ", file.read_text(encoding="utf-8"))[1:]
        for text in rules:
            name = re.split(r"[: ]", text)[0]  # "use rule NAME as ..." runs the script of NAME
            scripts = re.findall(r'"\.\./workflow_scripts/(\w+)\.py"', text)
            passed = re.findall(r'code=code\("(\w+)\.py"\)', text)
            assert {*scripts, *passed} <= {name}
            seen.update(scripts)
    files = {file.stem for file in (ROOT / "workflow_scripts").glob("*.py")} - {"__init__"}
    assert seen == files, "a script that no rule runs"


def test_fingerprints_need_no_library_that_is_slow_to_import():
    code = (
        "import sys; from workflow_scripts.cxrcam import code_fingerprint;"
        "from workflow_scripts.cxrcam.data.listing import datasets;"
        "print([m for m in ('torch', 'numpy', 'pandas', 'pyarrow', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"


# --- what is kept from one process to the next --------------------------------------------------


@pytest.fixture
def memory(project) -> Path:
    return project / ".snakemake" / "code.json"


def test_what_was_parsed_is_not_parsed_again(project, memory, monkeypatch):
    without = of(project)
    assert of(project, memory=memory) == without

    def refuse(source: bytes, file: Path) -> None:
        raise AssertionError(f"{file} is parsed again")

    monkeypatch.setattr(module, "_parse", refuse)
    assert of(project, memory=memory) == without
    edit(project, "cxrcam/layers.py", "n * 2", "n * 3")
    with pytest.raises(AssertionError, match=r"layers.py is parsed again"):
        of(project, memory=memory)


def test_a_change_is_seen_with_a_memory(project, memory):
    before = of(project, memory=memory)
    edit(project, "cxrcam/layers.py", "n * 2", "n * 3")
    after = of(project, memory=memory)
    assert after != before
    assert after == of(project)
    edit(project, "cxrcam/layers.py", "n * 3", "n * 2")
    assert of(project, memory=memory) == before


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"made_by": 1}', b'{"found": {}}', "other python", "too few"],
)
def test_a_memory_that_is_damaged_or_foreign_is_made_anew(project, memory, content):
    right = of(project, memory=memory)
    kept = json.loads(memory.read_text())
    if content == "other python":
        kept = {"made_by": "Python 2", "found": {key: ["0", [], []] for key in kept["found"]}}
        content = json.dumps(kept).encode()
    elif content == "too few":
        kept["found"] = {key: ["0"] for key in kept["found"]}
        content = json.dumps(kept).encode()
    memory.write_bytes(content)
    assert of(project, memory=memory) == right
    assert all(len(found) == 3 for found in json.loads(memory.read_text())["found"].values())


def test_a_memory_that_cannot_be_written_is_no_error(project, memory):
    memory.mkdir(parents=True)  # a folder of that name
    assert of(project, memory=memory) == of(project)


def test_a_memory_does_not_grow_without_end(project, memory, monkeypatch):
    monkeypatch.setattr(module, "MOST_REMEMBERED", 8)
    for number in range(10):
        edit(project, "cxrcam/layers.py", "n *", f"n * {number} *")
        of(project, memory=memory)
    assert len(json.loads(memory.read_text())["found"]) <= 8


# --- other files ----------------------------------------------------------------------------------


def test_the_text_of_a_template_counts_and_its_name_does_not(tmp_path):
    one, same, other = (tmp_path / name for name in ("a.html", "b.html", "c.html"))
    one.write_text("<p>", encoding="utf-8")
    same.write_text("<p>", encoding="utf-8")
    other.write_text("<b>", encoding="utf-8")
    assert text_fingerprint([one]) == text_fingerprint([same])
    assert text_fingerprint([one]) != text_fingerprint([other])
    assert text_fingerprint([one, other]) != text_fingerprint([other, one])

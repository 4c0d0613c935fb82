"""What a rule's result depends on in our own code, as one short hash.

Snakemake notices a change of the entry script but not of the modules that it imports. Each rule
therefore passes the fingerprint of its script's import closure as a param: when a module that the
script really uses changes, its outputs become stale; a comment, a docstring, the formatting or a
module that it never imports change nothing.

Parsing all modules takes a second, which every command and every job of a cluster would pay. So
what was found in a file can be kept, under the hash of the file's bytes.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.cxrcam.files import atomic_path

PACKAGE = "workflow_scripts"

# What a job says decides nothing of what it computes.
WITHOUT_EFFECT = frozenset({f"{PACKAGE}.cxrcam.logs"})

MOST_REMEMBERED = 5000  # files, about a kilobyte each

# Distributions that are called otherwise than the package that they bring.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "pytorch_grad_cam": "grad-cam",
    "sklearn": "scikit-learn",
}


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Remove docstrings in place: they explain the code, they do not change what it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def _module_file(root: Path, dotted: str) -> Path | None:
    """File of a module of our package, or None when the name is not a module of ours."""
    if dotted != PACKAGE and not dotted.startswith(PACKAGE + "."):
        return None
    stem = root.joinpath(*dotted.split("."))
    for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


class _Parsed(NamedTuple):
    """Of one file: the hash of its code, dotted names that it imports, top-level packages."""

    code: str
    names: list[str]
    outside: list[str]


def _parse(source: bytes, file: Path) -> _Parsed:
    tree = ast.parse(source, filename=str(file))
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{file}: relative import; write 'from {PACKAGE}.… import …'")
            module = node.module or ""
            names.append(module)
            # `from package import module` names a module only in its second half.
            names += [f"{module}.{alias.name}" for alias in node.names]
    code = ast.dump(_without_docstrings(tree))
    outside = {name.split(".")[0] for name in names} - {PACKAGE, ""}
    return _Parsed(hashlib.sha256(code.encode()).hexdigest(), names, sorted(outside))


class _Memory:
    """What was found in files, by the hash of their bytes, kept from one process to the next.

    Losing it costs a second; so whatever is wrong with its file is no error.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        # With another version of this module, or of Python, other things would be found.
        self.made_by = f"{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()} {sys.version}"
        self.found: dict[str, _Parsed] = {}
        self.of_file: dict[Path, _Parsed] = {}
        self.new = False
        if file is None:
            return
        try:
            kept = json.loads(file.read_bytes())
            # Every edit adds to it: at some point it begins anew.
            if kept["made_by"] == self.made_by and len(kept["found"]) < MOST_REMEMBERED:
                self.found = {key: _Parsed(*values) for key, values in kept["found"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass

    def parsed(self, file: Path) -> _Parsed:
        """What is in a file, read once, and parsed only where no process has met these bytes."""
        if file not in self.of_file:
            source = file.read_bytes()
            key = hashlib.sha256(source).hexdigest()
            if key not in self.found:
                self.found[key] = _parse(source, file)
                self.new = True
            self.of_file[file] = self.found[key]
        return self.of_file[file]

    def keep(self) -> None:
        """Write what is new, whole or not at all."""
        if self.file is None or not self.new:
            return
        self.new = False
        try:
            with atomic_path(self.file) as temporary:
                temporary.write_text(json.dumps({"made_by": self.made_by, "found": self.found}))
        except OSError:
            pass


_memory = lru_cache(maxsize=8)(_Memory)


@lru_cache(maxsize=64)
def _installed(library: str) -> str:
    """Version of a package, by the name under which it is imported."""
    try:
        return version(DISTRIBUTIONS.get(library, library))
    except PackageNotFoundError:
        return "absent"


def import_closure(script: Path, root: Path, memory: Path | None = None) -> list[Path]:
    """All files of our own that decide a script's result: itself and what it imports.

    Parameters
    ----------
    root : Path
        Folder that holds the package ``workflow_scripts``.
    memory : Path, optional
        File in which what was found is kept for the next process.

    Returns
    -------
    list of Path
        Sorted, the script included.
    """
    seen: set[Path] = set()
    known: set[str] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        seen.add(file)
        for name in _memory(memory).parsed(file).names:
            # Python runs the __init__ of every package above a module before the module itself.
            while name and name not in known:
                known.add(name)
                if name in WITHOUT_EFFECT:
                    break
                imported = _module_file(root, name)
                if imported is not None:
                    waiting.append(imported)
                name = name.rpartition(".")[0]
    return sorted(seen)


def code_fingerprint(
    script: Path, root: Path, libraries: tuple[str, ...] = (), memory: Path | None = None
) -> str:
    """Hash of everything that decides what a script computes, except its settings and inputs.

    Parameters
    ----------
    script, root, memory
        As in `import_closure`.
    libraries : tuple of str
        Packages, as they are imported, whose version changes results (for example ``torch`` or
        ``PIL``). Only those that the script's closure imports count.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    known = _memory(memory)
    digest = hashlib.sha256()
    imported: set[str] = set()
    for file in import_closure(script, root, memory):
        parsed = known.parsed(file)
        digest.update(f"{file.relative_to(root).as_posix()} {parsed.code}\n".encode())
        imported.update(parsed.outside)
    for library in sorted(imported.intersection(libraries)):
        digest.update(f"{library} {_installed(library)}\n".encode())
    known.keep()
    return digest.hexdigest()[:16]


def text_fingerprint(files: Iterable[Path]) -> str:
    """Hash of the text of files that are no Python, such as templates: 16 hexadecimal digits."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]

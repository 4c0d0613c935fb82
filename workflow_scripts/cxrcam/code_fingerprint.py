"""What a rule's result depends on in our own code, as one short hash.

Snakemake notices a change of the entry script but not of the modules that it imports. Each rule
therefore passes the fingerprint of its script's import closure as a param: when a module that the
script really uses changes, its outputs become stale; a comment, a docstring, the formatting or a
module that it never imports change nothing.
"""

import ast
import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = "workflow_scripts"

# What a job says decides nothing of what it computes.
WITHOUT_EFFECT = frozenset({f"{PACKAGE}.cxrcam.logs"})

# Distributions that are called otherwise than the package that they bring.
DISTRIBUTIONS = {"PIL": "pillow", "pytorch_grad_cam": "grad-cam", "sklearn": "scikit-learn"}


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


@lru_cache(maxsize=256)
def _parsed(file: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Hash of one file's code, the dotted names that it imports, and its top-level packages."""
    tree = ast.parse(file.read_bytes(), filename=str(file))
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
    return hashlib.sha256(code.encode()).hexdigest(), tuple(names), tuple(sorted(outside))


def import_closure(script: Path, root: Path) -> list[Path]:
    """All files of our own that decide a script's result: itself and what it imports.

    Parameters
    ----------
    script : Path
        Entry script.
    root : Path
        Folder that holds the package ``workflow_scripts``.

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
        for name in _parsed(file)[1]:
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


def code_fingerprint(script: Path, root: Path, libraries: tuple[str, ...] = ()) -> str:
    """Hash of everything that decides what a script computes, except its settings and inputs.

    Parameters
    ----------
    script : Path
        Entry script of a rule.
    root : Path
        Folder that holds the package ``workflow_scripts``.
    libraries : tuple of str
        Packages, as they are imported, whose version changes results (for example ``torch`` or
        ``PIL``). Only those that the script's closure imports count.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    closure = import_closure(script, root)
    digest = hashlib.sha256()
    imported: set[str] = set()
    for file in closure:
        digest.update(f"{file.relative_to(root).as_posix()} {_parsed(file)[0]}\n".encode())
        imported.update(_parsed(file)[2])
    for library in sorted(imported.intersection(libraries)):
        try:
            installed = version(DISTRIBUTIONS.get(library, library))
            digest.update(f"{library} {installed}\n".encode())
        except PackageNotFoundError:
            digest.update(f"{library} absent\n".encode())
    return digest.hexdigest()[:16]

"""The metadata of a finished run, by the profile Workflow Run RO-Crate 0.5.

The crate says: this workflow (``mainEntity``), run once (``CreateAction``) with these settings and
images (``object``), made these files (``result``). Profiles and their required properties:

- RO-Crate 1.1, https://w3id.org/ro/crate/1.1
- Workflow RO-Crate 1.0, https://w3id.org/workflowhub/workflow-ro-crate/1.0
- Process Run Crate and Workflow Run Crate 0.5, https://w3id.org/ro/wfrun
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Final

from rocrate.model import ComputationalWorkflow
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from workflow_scripts.cxrcam.crate.contents import WORKFLOW_FOLDER, Item

PROFILES: Final = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_FORMAL_PARAMETER: Final = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_WORKFLOW_PROFILE: Final = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_MIT: Final = "https://spdx.org/licenses/MIT"
# Settings that say where images lie on the machine of the run.
_PLACES: Final = ("root", "path", "file")


@dataclass(frozen=True)
class Run:
    """A finished run."""

    dataset: str  # its name in the configuration
    verdict: str  # its answer and sentence
    version: str  # of the workflow: its commit where there is a repository, else its release
    configuration: Mapping[str, Any]  # as it was used; where images lie is left out of the crate
    n_images: int
    images_sha256: str  # over checksums of all images, so that the same images can be told
    versions: Sequence[tuple[str, str]]  # software and its version
    began: float  # seconds since 1970
    ended: float
    workflow: Sequence[Item]  # files of the crate
    results: Sequence[Item]


def without_places(settings: Any, key: str = "") -> Any:  # noqa: ANN401  # JSON
    """Settings with only the last name of each folder or file; other values as they are.

    Where the images of a run lay is nobody's business, and of no use elsewhere.
    """
    if isinstance(settings, Mapping):
        return {name: without_places(value, name) for name, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [without_places(value, key) for value in settings]
    if isinstance(settings, str) and (key in _PLACES or PurePath(settings).is_absolute()):
        return PurePath(settings).name
    return settings


def parameters_of(run: Run) -> dict[str, str]:
    """Settings and images of a run, by name, each as one text."""
    own = dict(run.configuration)
    named = [run.dataset, *own.get("external", [])]
    # Of a union, its data sets too.
    named += [member for name in named for member in own["datasets"].get(name, {}).get("of", [])]
    own["datasets"] = {name: own["datasets"][name] for name in named if name in own["datasets"]}
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in without_places(own).items()
    }
    return {**texts, "images": f"{run.n_images} images, SHA-256 of all: {run.images_sha256}"}


def _time(seconds: float) -> str:
    """ISO 8601, in universal time, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def _add(crate: ROCrate, of_id: str, kind: str, **properties: Any) -> ContextEntity:  # noqa: ANN401  # JSON
    """Add a contextual entity."""
    entity: ContextEntity = crate.add(
        ContextEntity(crate, of_id, properties={"@type": kind, **properties})
    )
    return entity


def _add_item(crate: ROCrate, item: Item) -> Any:  # noqa: ANN401  # rocrate has no types
    """Add a file or folder that lies in the crate."""
    properties: dict[str, Any] = {"name": item.path}
    if item.description:
        properties["description"] = item.description
    if item.is_folder:
        return crate.add_dataset(dest_path=item.path, properties=properties)
    properties |= {
        "@type": "File",
        "contentSize": str(item.size),
        "encodingFormat": item.encoding,
        "sha256": item.sha256,
    }
    return crate.add_file(dest_path=item.path, properties=properties)


def _add_parameter(crate: ROCrate, name: str, kind: str) -> ContextEntity:
    """Add an input or output of the workflow, by its name and type."""
    return _add(
        crate,
        f"#parameter-{name}",
        "FormalParameter",
        name=name,
        additionalType=kind,
        conformsTo={"@id": _FORMAL_PARAMETER},
    )


def _add_workflow(crate: ROCrate, run: Run, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401  # rocrate has no types
    """Add the Snakefile as main entity, with the rest of the code as its parts."""
    main = f"{WORKFLOW_FOLDER}/Snakefile"
    items = {item.path: item for item in run.workflow}
    properties: dict[str, Any] = {
        "author": _add(crate, "#authors", "Organization", name="The CXR-CAM authors"),
        "license": _add(crate, _MIT, "CreativeWork", name="MIT License"),
        "programmingLanguage": _add(
            crate,
            "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
            "ComputerLanguage",
            name="Snakemake",
            identifier={"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            url={"@id": "https://snakemake.readthedocs.io"},
            version=dict(run.versions).get("snakemake", "not known"),
        ),
        "softwareRequirements": [
            _add(
                crate,
                f"#software-{name.lower()}",
                "SoftwareApplication",
                name=name,
                softwareVersion=version,
            )
            for name, version in run.versions
        ],
        "input": [_add_parameter(crate, name, "Text") for name in parameters],
        "output": [
            _add_parameter(crate, "files", "File"),
            _add_parameter(crate, "folders", "Dataset"),
        ],
        "hasPart": [_add_item(crate, item) for path, item in items.items() if path != main],
    }
    about = {
        "name": "CXR-CAM: train, audit and explain chest X-ray classifiers",
        "version": run.version,
        "contentSize": str(items[main].size),
        "sha256": items[main].sha256,
        "encodingFormat": "text/plain",
        "conformsTo": {"@id": _WORKFLOW_PROFILE},
    }
    workflow = crate.add(ComputationalWorkflow(crate, dest_path=main, properties=about))
    for name, value in properties.items():
        workflow[name] = value
    citation = crate.get(f"{WORKFLOW_FOLDER}/CITATION.cff")
    if citation is not None:
        workflow["citation"] = citation
    return workflow


def _add_action(
    crate: ROCrate,
    run: Run,
    workflow: Any,  # noqa: ANN401  # rocrate has no types
    parameters: Mapping[str, str],
) -> ContextEntity:
    """Add the run itself: what made which files of what, and when."""
    results = []
    for item in run.results:
        entity = _add_item(crate, item)
        entity["exampleOfWork"] = crate.get(
            "#parameter-folders" if item.is_folder else "#parameter-files"
        )
        results.append(entity)
    action = _add(
        crate,
        "#run",
        "CreateAction",
        name=f"Run of CXR-CAM on {run.dataset}",
        startTime=_time(run.began),
        endTime=_time(run.ended),
        description="Every job of the default target; their seconds and memory stand in "
        "report/provenance.html.",
        actionStatus="http://schema.org/CompletedActionStatus",
    )
    action["instrument"] = workflow
    action["object"] = [
        _add(
            crate,
            f"#value-{name}",
            "PropertyValue",
            name=name,
            value=value,
            exampleOfWork={"@id": f"#parameter-{name}"},
        )
        for name, value in parameters.items()
    ]
    action["result"] = results
    return action


def run_crate(run: Run) -> dict[str, Any]:
    """Metadata of a run: the content of ro-crate-metadata.json.

    The same for the same run, at whatever time it is made. All paths are relative to the crate.
    """
    crate = ROCrate(version="1.1")
    crate.metadata["conformsTo"] = [
        {"@id": "https://w3id.org/ro/crate/1.1"},
        {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
    ]
    root = crate.root_dataset
    root["conformsTo"] = [
        _add(crate, profile, "CreativeWork", name=name, version=version)
        for profile, (name, version) in PROFILES.items()
    ]
    root["name"] = f"CXR-CAM run on {run.dataset}"
    root["description"] = (
        f"Chest X-ray classifiers trained and audited on {run.dataset} ({run.n_images} images). "
        f"Verdict: {run.verdict} Research use only. Nothing here is a diagnosis."
    )
    # Of the run, not of the moment in which the crate is written.
    root["datePublished"] = _time(run.ended)[:10]
    root["license"] = _add(
        crate,
        "#terms",
        "CreativeWork",
        name="Terms of the images",
        description="Results are made from the images and are under their terms; the code in "
        f"{WORKFLOW_FOLDER}/ is under the MIT License.",
    )
    parameters = parameters_of(run)
    workflow = _add_workflow(crate, run, parameters)
    root["mainEntity"] = workflow
    root["mentions"] = _add_action(crate, run, workflow, parameters)
    metadata: dict[str, Any] = crate.metadata.generate()
    return metadata

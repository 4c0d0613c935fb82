"""Whether a data set consists of drawn images."""

from workflow_scripts.cxrcam.configuration.drawn import is_drawn

DATASETS = {
    "demo": {"kind": "phantom"},
    "ours": {"kind": "class_folders"},
    "both": {"kind": "union", "of": ["ours", "demo"]},
    "real": {"kind": "union", "of": ["ours"]},
}


def test_phantoms_and_unions_with_phantoms_are_drawn() -> None:
    assert {name: is_drawn(DATASETS, name) for name in DATASETS} == {
        "demo": True,
        "ours": False,
        "both": True,
        "real": False,
    }

"""Whether a data set consists of drawn images."""

from workflow_scripts.cxrcam.configuration.drawn import drawn_parts, is_drawn

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


def test_of_a_union_the_parts_that_are_drawn_are_told() -> None:
    assert drawn_parts(DATASETS, "both") == ["demo"]
    assert drawn_parts(DATASETS, "demo") == ["demo"]
    assert drawn_parts(DATASETS, "ours") == drawn_parts(DATASETS, "real") == []

"""What a network sees: the same covered pixels in training and ever after, or a clear refusal."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from workflow_scripts.cxrcam.configuration import checks
from workflow_scripts.cxrcam.configuration.checks import LUNG_INPUTS
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE, SCHEMA, write_masks
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.images.covering import MASKING_VARIANTS, covered_pixels
from workflow_scripts.cxrcam.networks import input_parts
from workflow_scripts.cxrcam.networks.input_parts import covered_predictions, read_network_input
from workflow_scripts.cxrcam.terms import WHOLE

SIZE = 32
NAMES = ["A/1", "A/2", "B/1"]
PIXELS = np.random.default_rng(0).integers(1, 256, (3, SIZE, SIZE)).astype(np.uint8)
FILE = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images by name, whatever the shards."""

    def read(_shards, image_ids, size, _memory_mb):
        assert size == SIZE
        return PIXELS[[NAMES.index(name) for name in image_ids]]

    monkeypatch.setattr(input_parts, "read_pixels_within", read)


@pytest.fixture
def masks(tmp_path) -> str:
    """Lung masks of the first and the last image: left half, and upper half."""
    halves = np.zeros((2, MASK_SIDE, MASK_SIDE), dtype=bool)
    halves[0, :, : MASK_SIDE // 2] = halves[1, : MASK_SIDE // 2] = True
    packed = [np.packbits(half).tobytes() for half in halves]
    rows = {"image_id": ["A/1", "B/1"], "lung": packed, "lesion": [None, None]}
    write_masks(tmp_path / "masks.parquet", [pa.table(rows, schema=SCHEMA)])
    return str(tmp_path / "masks.parquet")


def test_the_whole_is_the_image_itself_and_needs_no_masks():
    np.testing.assert_array_equal(read_network_input([], NAMES, SIZE, WHOLE, None), PIXELS)


@pytest.mark.parametrize("part", ["centre_black", "border_only"])
def test_a_part_is_what_the_audit_covers_at_test_time(part):
    seen = read_network_input([], NAMES, SIZE, part, None)
    np.testing.assert_array_equal(seen, covered_pixels(PIXELS, part))
    assert (seen != PIXELS).mean() > 0.3


@pytest.mark.parametrize("part", LUNG_INPUTS)
def test_lungs_are_those_of_each_image_in_any_order(part, masks):
    seen = read_network_input([], ["B/1", "A/1"], SIZE, part, masks)
    half = SIZE // 2
    lungs = np.zeros((2, SIZE, SIZE), dtype=bool)
    lungs[0, :half] = lungs[1, :, :half] = True
    kept = lungs if part == "lungs_only" else ~lungs
    images = PIXELS[[2, 0]]
    np.testing.assert_array_equal(seen[kept], images[kept])
    for image in range(2):
        assert len(np.unique(seen[image][~kept[image]])) == 1


@pytest.mark.parametrize("part", LUNG_INPUTS)
def test_an_image_without_a_mask_is_named(part, masks):
    with pytest.raises(InputError, match=rf"{part}.*1 of 3 images.*'A/2'.*border_only"):
        read_network_input([], NAMES, SIZE, part, masks)


def test_pictures_are_covered_as_the_network_saw_them():
    np.testing.assert_array_equal(
        covered_pixels(PIXELS, "border_only", None),
        covered_pixels(PIXELS, "border_only"),
    )
    assert covered_pixels(PIXELS, WHOLE, None) is PIXELS


def test_the_configuration_offers_exactly_the_audits_variants():
    offered = yaml.safe_load(FILE.read_text(encoding="utf-8"))["$defs"]["same_splits"][
        "properties"
    ]["input"]
    variants = MASKING_VARIANTS
    assert offered["enum"] == [WHOLE, *(variant.name for variant in variants)]
    assert offered["default"] == WHOLE == checks.WHOLE
    assert LUNG_INPUTS == tuple(v.name for v in variants if v.needs_lung_masks)


@pytest.mark.parametrize("at_once", [1, 2, 1024])
def test_each_image_is_asked_about_in_every_way_that_it_can_be_covered(masks, monkeypatch, at_once):
    monkeypatch.setattr(input_parts, "_AT_ONCE", at_once)
    found: dict[str, dict[str, float]] = {}

    def ask(images):
        return images.mean(axis=(1, 2))[:, None]

    for variant, names, said in covered_predictions(
        ask, PIXELS, NAMES, np.array([2, 1]), Path(masks)
    ):
        found.setdefault(variant, {}).update(zip(names, said[:, 0].tolist(), strict=True))
    assert set(found) == {variant.name for variant in MASKING_VARIANTS}
    lungs = np.zeros((1, SIZE, SIZE), dtype=bool)
    lungs[0, : SIZE // 2] = True
    for variant in MASKING_VARIANTS:
        # A/2 has no lung mask, and A/1 was not asked for.
        named = ["B/1"] if variant.needs_lung_masks else ["B/1", "A/2"]
        assert sorted(found[variant.name]) == sorted(named)
        expected = ask(covered_pixels(PIXELS[2:], variant.name, lungs))[0, 0]
        assert found[variant.name]["B/1"] == expected


def test_nothing_is_covered_where_nothing_is_asked_for(masks):
    nothing = np.empty(0, dtype=np.int64)
    assert covered_predictions(lambda images: images, PIXELS, NAMES, nothing, Path(masks)) == []

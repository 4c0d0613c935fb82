"""Features of the floors: against plain computations; each blind to what it must not see."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.floors.features import FEATURES, area_weights

SIZES = [32, 56, 129, 224, 299]


def noise(n, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_histogram_equals_numpy_s_on_the_whole_image(size):
    images = noise(3, size)
    expected = [np.histogram(image, 64, (0, 256))[0] / size**2 for image in images]
    assert FEATURES["histogram"](images) == pytest.approx(np.array(expected), abs=1e-7)


@pytest.mark.parametrize("size", [28, 56, 224])
def test_thumbnail_cells_are_means_of_their_blocks(size):
    images = noise(2, size)
    block = size // 28
    expected = images.reshape(2, 28, block, 28, block).mean(axis=(2, 4)).reshape(2, -1)
    assert FEATURES["thumbnail"](images) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("size", [32, 45])
def test_thumbnail_of_any_size_is_the_exact_mean_of_each_cell_s_area(size):
    (image,) = noise(1, size)
    # Each pixel as 28 x 28 equal ones: now every cell is a whole number of pixels.
    fine = np.kron(image.astype(float), np.ones((28, 28)))
    expected = fine.reshape(28, size, 28, size).mean(axis=(1, 3))
    found = FEATURES["thumbnail"](image[None]).reshape(28, 28)
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("inputs", "outputs"), [(299, 28), (32, 28), (4, 1), (5, 6), (28, 28)])
def test_area_weights_average_and_use_every_value_equally(inputs, outputs):
    weights = area_weights(inputs, outputs)
    assert weights.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert weights.sum(axis=1) == pytest.approx(outputs / inputs, abs=1e-5)


def changed_where(name, size):
    """Pixels, of a grid of places, whose change the features of a floor notice."""
    places = np.unique(np.r_[np.arange(0, size, max(1, size // 16)), size - 1])
    rows, columns = (axis.ravel() for axis in np.meshgrid(places, places))
    images = np.full((rows.size + 1, size, size), 100, np.uint8)
    images[np.arange(rows.size), rows, columns] = 255
    features = FEATURES[name](images)
    seen = np.zeros((size, size), bool)
    seen[rows, columns] = np.abs(features[:-1] - features[-1]).max(axis=1) > 1e-3
    return seen


@pytest.mark.parametrize("size", [32, 56, 224])
def test_border_corners_and_black_centre_never_see_the_middle(size):
    middle = slice(round(size * 0.2), size - round(size * 0.2))
    for name in ("border", "corners", "centre_black"):
        seen = changed_where(name, size)
        assert not seen[middle, middle].any()
        assert seen[0, 0] and seen[0, -1] and seen[-1, 0] and seen[-1, -1]
    assert (
        changed_where("border", size)[0].any() and not changed_where("corners", size)[0, size // 2]
    )
    assert changed_where("thumbnail", size)[middle, middle].any()


def test_border_and_corners_equal_a_direct_average_of_every_side_and_corner():
    (image,) = noise(1, 224)
    sides = [image[:4], image[-4:], image[:, :4].T, image[:, -4:].T]
    expected = [side.reshape(4, 28, 8).mean(axis=(0, 2)) for side in sides]
    assert FEATURES["border"](image[None])[0] == pytest.approx(np.ravel(expected), abs=1e-3)
    squares = [image[:6, :6], image[:6, -6:], image[-6:, :6], image[-6:, -6:]]
    assert FEATURES["corners"](image[None])[0] == pytest.approx(np.ravel(squares), abs=1e-3)


@pytest.mark.parametrize(("size", "ring", "corner"), [(224, 4, 6), (32, 2, 3), (448, 8, 12)])
def test_ring_and_corners_keep_their_share_of_the_side(size, ring, corner):
    images = np.zeros((1, size, size), np.uint8)
    images[0, ring : size - ring, ring : size - ring] = 200
    assert not FEATURES["border"](images)[0, 28 // 2]
    images[0, ring - 1, size // 2] = 200
    assert FEATURES["border"](images)[0, 28 // 2] > 0
    inside = np.zeros((1, size, size), np.uint8)
    inside[0, corner, :] = 200
    assert not FEATURES["corners"](inside).any()
    inside[0, corner - 1, :] = 200
    assert FEATURES["corners"](inside).any()


@pytest.mark.parametrize("name", FEATURES)
def test_an_image_s_features_do_not_depend_on_its_neighbours(name):
    images = noise(40, 224)
    together = FEATURES[name](images)
    assert together.dtype == np.float32
    assert together[37:38] == pytest.approx(FEATURES[name](images[37:38]), abs=1e-4)
    assert images.tobytes() == noise(40, 224).tobytes()

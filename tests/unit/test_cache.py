"""The pixel cache: what goes in comes out, in the order asked for, and bad files stay outside."""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.shards import write_shard
from workflow_scripts.cxrcam.contracts import FACTS
from workflow_scripts.cxrcam.data import cache, decoding
from workflow_scripts.cxrcam.data.cache import (
    CacheError,
    content_fingerprint,
    joined_fingerprint,
    read_pixels,
    read_pixels_within,
    shard_writer,
)
from workflow_scripts.cxrcam.data.decoding import decode_image, decode_images, decoded_batches
from workflow_scripts.cxrcam.data.fingerprints import pixel_sha256
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.resizing import resize_grey

MAX_PIXELS = 10_000


def pictures(n: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


def names(n: int, first: int = 0) -> list[str]:
    return [f"A/{k}" for k in range(first, first + n)]


# --- shards ---------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.data())
def test_any_images_come_back_from_any_shards_in_the_order_asked(data):
    size = data.draw(st.integers(1, 7), label="size")
    n = data.draw(st.integers(0, 20), label="images")
    n_shards = data.draw(st.integers(1, 4), label="shards")
    ids = data.draw(st.lists(st.text(max_size=8), min_size=n, max_size=n, unique=True), label="ids")
    shard_of = data.draw(st.lists(st.integers(0, n_shards - 1), min_size=n, max_size=n))
    stored = pictures(n, size, seed=data.draw(st.integers(0, 99)))
    rows = data.draw(st.permutations(range(n)), label="order")
    asked = rows[: data.draw(st.integers(0, n), label="asked")]
    with tempfile.TemporaryDirectory() as folder:
        shards = [Path(folder) / f"shard-{number}.parquet" for number in range(n_shards)]
        for number, path in enumerate(shards):
            own = [k for k in range(n) if shard_of[k] == number]
            write_shard(path, [ids[k] for k in own], stored[own], {})
        read = read_pixels(shards, [ids[k] for k in asked], size)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, stored[list(asked)])


def test_images_that_were_not_asked_for_stay_out(tmp_path):
    stored = pictures(5, 4)
    write_shard(tmp_path / "s.parquet", names(5), stored, {})
    np.testing.assert_array_equal(
        read_pixels([tmp_path / "s.parquet"], ["A/3", "A/1"], 4), stored[[3, 1]]
    )


@pytest.fixture
def several_groups(tmp_path, monkeypatch) -> Path:
    """A shard of ten images in row groups of three."""
    monkeypatch.setattr(cache, "ROWS_AT_ONCE", 3)
    write_shard(tmp_path / "s.parquet", names(10), pictures(10, 16), {})
    assert pq.ParquetFile(tmp_path / "s.parquet").num_row_groups == 4
    return tmp_path / "s.parquet"


def test_a_shard_of_several_row_groups_is_read_whole(several_groups):
    read = read_pixels([several_groups], ["A/8", "A/1", "A/5"], 16)
    np.testing.assert_array_equal(read, pictures(10, 16)[[8, 1, 5]])


def test_rows_are_found_however_arrow_lays_them_out(several_groups, tmp_path):
    for name, layout in (
        ("pages", {"data_page_size": 1, "write_batch_size": 1, "use_dictionary": False}),
        ("dictionary", {"use_dictionary": True}),
        ("compressed", {"compression": "zstd"}),
    ):
        table = pq.read_table(several_groups)
        pq.write_table(table, tmp_path / name, row_group_size=3, **layout)
        read = read_pixels([tmp_path / name], ["A/8", "A/1", "A/5"], 16)
        np.testing.assert_array_equal(read, pictures(10, 16)[[8, 1, 5]], err_msg=name)


def test_rows_that_do_not_begin_where_their_buffer_does_are_the_right_ones(
    several_groups, monkeypatch
):
    read_row_group = pq.ParquetFile.read_row_group

    def with_offset(*arguments, **options):
        group = read_row_group(*arguments, **options)
        others = group.take(list(reversed(range(len(group)))))
        return pa.concat_tables([others, group]).combine_chunks().slice(len(group))

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", with_offset)
    read = read_pixels([several_groups], ["A/8", "A/4"], 16)
    np.testing.assert_array_equal(read, pictures(10, 16)[[8, 4]])


@pytest.mark.parametrize("image", range(10))
def test_another_pixel_is_noticed_in_each_row_group(several_groups, image):
    content = several_groups.read_bytes()
    place = content.index(pictures(10, 16)[image].tobytes())
    several_groups.write_bytes(content[:place] + b"\0\1\2" + content[place + 3 :])
    with pytest.raises(CacheError, match=rf"damaged .*row group {image // 3} does not match"):
        read_pixels([several_groups], names(1), 16)


def test_another_name_is_noticed(several_groups):
    content = several_groups.read_bytes()
    assert content.count(b"A/4") == 1
    several_groups.write_bytes(content.replace(b"A/4", b"A/5"))
    with pytest.raises(CacheError, match="row group 1 does not match"):
        read_pixels([several_groups], names(10), 16)


@pytest.mark.parametrize("names_there", [[b"A/0"] * 10, [None] * 10])
def test_names_that_are_no_text_are_noticed(tmp_path, several_groups, names_there):
    stored = pq.read_table(several_groups)
    pq.write_table(stored.set_column(0, "image_id", [names_there]), tmp_path / "t.parquet")
    with pytest.raises(CacheError, match=r"t\.parquet is damaged"):
        read_pixels([tmp_path / "t.parquet"], names(10), 16)


def test_a_file_without_checksums_is_not_trusted(tmp_path, several_groups):
    pq.write_table(pq.read_table(several_groups).replace_schema_metadata(), tmp_path / "t.parquet")
    with pytest.raises(CacheError, match=r"t\.parquet is damaged \(it has no checksums\)"):
        read_pixels([tmp_path / "t.parquet"], names(10), 16)


def test_an_empty_shard_is_no_obstacle(tmp_path):
    write_shard(tmp_path / "empty.parquet", [], pictures(0, 4), {})
    write_shard(tmp_path / "full.parquet", names(2), pictures(2, 4), {})
    shards = [tmp_path / "empty.parquet", tmp_path / "full.parquet"]
    np.testing.assert_array_equal(read_pixels(shards, names(2), 4), pictures(2, 4))


def test_a_shard_has_the_contracts_schema_and_says_how_it_was_made(tmp_path):
    metadata = {"size": 4, "resampling": "bilinear", "mean": json.dumps([0.5, 0.5, 0.5])}
    write_shard(tmp_path / "s.parquet", names(3), pictures(3, 4), metadata)
    schema = pq.read_schema(tmp_path / "s.parquet")
    assert schema.equals(pa.schema([("image_id", pa.string()), ("pixels", pa.binary(16))]))
    assert schema.metadata[b"size"] == b"4"
    assert schema.metadata[b"resampling"] == b"bilinear"
    assert json.loads(schema.metadata[b"mean"]) == [0.5, 0.5, 0.5]


def test_a_fingerprint_of_content_tells_another_pixel_or_name_but_not_another_array():
    fingerprint = content_fingerprint(names(3), pictures(3, 4))
    changed = pictures(3, 4)
    assert content_fingerprint(names(3), np.asfortranarray(changed)) == fingerprint
    changed[2, 1, 1] ^= 1
    others = [
        content_fingerprint(names(3), changed),
        content_fingerprint(names(3), pictures(3, 4)[::-1]),
        content_fingerprint(names(4)[1:], pictures(3, 4)),
    ]
    assert len({fingerprint, *others}) == 4


def test_fingerprints_of_shards_join_to_the_same_one_however_images_are_divided():
    ids, pixels = names(5), pictures(5, 4)
    whole = content_fingerprint(ids, pixels)
    divided = [content_fingerprint(ids[k::2], pixels[k::2]) for k in (1, 0)]
    assert joined_fingerprint(divided) == whole
    assert joined_fingerprint(divided[:1]) != whole


def test_the_same_images_make_the_same_bytes(tmp_path):
    for name, metadata in (("a", {"x": "1", "y": "2"}), ("b", {"y": "2", "x": "1"})):
        write_shard(tmp_path / name, names(3), pictures(3, 4), metadata)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_pixels_that_are_not_contiguous_are_stored_as_they_look(tmp_path):
    mirrored = pictures(3, 4)[:, :, ::-1]
    write_shard(tmp_path / "s.parquet", names(3), mirrored, {})
    np.testing.assert_array_equal(read_pixels([tmp_path / "s.parquet"], names(3), 4), mirrored)


def test_a_shard_of_another_image_size_is_refused_by_name(tmp_path):
    write_shard(tmp_path / "s.parquet", names(2), pictures(2, 4), {})
    with pytest.raises(CacheError) as caught:
        read_pixels([tmp_path / "s.parquet"], names(2), 8)
    for words in (str(tmp_path / "s.parquet"), "16 bytes", "not 64", "delete it"):
        assert words in str(caught.value)


def test_an_image_that_no_shard_has_is_named(tmp_path):
    write_shard(tmp_path / "s.parquet", names(2), pictures(2, 4), {})
    with pytest.raises(CacheError, match=r"1 of 3 images are in no cache file.*A/2.*delete"):
        read_pixels([tmp_path / "s.parquet"], names(3), 4)
    assert issubclass(CacheError, InputError)


# --- decoding -------------------------------------------------------------------------------------


@pytest.fixture
def mixed_files(tiny_image, tmp_path) -> list[tuple[str, Path]]:
    """Eight readable images with four broken files among them."""
    files = [(f"A/{k}", tiny_image(f"{k}.png", seed=k)) for k in range(8)]
    broken = {
        "empty": b"",
        "text": b"not an image",
        "cut": files[0][1].read_bytes()[:120],
    }
    for position, (name, content) in enumerate(broken.items()):
        (tmp_path / f"{name}.png").write_bytes(content)
        files.insert(3 * position, (f"B/{name}", tmp_path / f"{name}.png"))
    files.insert(5, ("B/missing", tmp_path / "missing.png"))
    return files


def test_an_image_gives_the_facts_of_its_full_size_and_pixels_of_the_size_asked(tiny_image):
    path = tiny_image("x.png", height=40, width=30)
    facts, pixels = decode_image("A/x", path, 16, "bilinear", MAX_PIXELS)
    full = read_grey(path, MAX_PIXELS).pixels
    assert list(facts) == FACTS.names
    assert (facts["image_id"], facts["width"], facts["height"], facts["mode"]) == (
        *("A/x", 30, 40, "L"),
    )
    assert facts["file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["pixel_sha256"] == pixel_sha256(full)
    assert facts["quarantine_reason"] is None
    np.testing.assert_array_equal(pixels, resize_grey(full, 16, "bilinear"))


def test_the_filter_asked_for_is_the_one_used(tiny_image):
    path = tiny_image("x.png", height=40, width=30)
    full = read_grey(path, MAX_PIXELS).pixels
    for resampling in ("box", "lanczos"):
        _, pixels = decode_image("A/x", path, 16, resampling, MAX_PIXELS)
        np.testing.assert_array_equal(pixels, resize_grey(full, 16, resampling))


def test_bad_files_are_set_apart_with_their_reasons_and_the_others_are_untouched(mixed_files):
    facts, readable, pixels = decode_images(mixed_files, 16, "bilinear", MAX_PIXELS, threads=2)
    assert facts.schema.equals(FACTS)
    assert facts["image_id"].to_pylist() == [image_id for image_id, _ in mixed_files]
    reasons = dict(
        zip(*(facts[c].to_pylist() for c in ("image_id", "quarantine_reason")), strict=True)
    )
    assert {name for name, reason in reasons.items() if reason} == {
        *("B/empty", "B/text", "B/cut", "B/missing"),
    }
    assert "empty" in reasons["B/empty"]
    assert reasons["B/missing"] == "The file does not exist."
    assert readable == names(8)
    alone = [decode_image(i, p, 16, "bilinear", MAX_PIXELS)[1] for i, p in mixed_files if "A/" in i]
    np.testing.assert_array_equal(pixels, np.stack(alone))


def test_an_unreadable_file_keeps_its_checksum_and_has_no_other_facts(tmp_path):
    (tmp_path / "x.png").write_bytes(b"not an image")
    facts, pixels = decode_image("A/x", tmp_path / "x.png", 16, "bilinear", MAX_PIXELS)
    assert pixels is None
    known = {name for name, value in facts.items() if value is not None}
    assert known == {"image_id", "file_sha256", "quarantine_reason"}


def test_an_image_above_the_limit_is_set_apart(tiny_image):
    path = tiny_image("x.png", height=40, width=30)
    assert decode_image("A/x", path, 16, "bilinear", 1199)[1] is None
    assert decode_image("A/x", path, 16, "bilinear", 1200)[1] is not None


def test_the_number_of_threads_changes_no_byte(mixed_files, tmp_path):
    for threads in (1, 5):
        facts, readable, pixels = decode_images(mixed_files, 16, "bilinear", MAX_PIXELS, threads)
        write_shard(tmp_path / f"pixels-{threads}", readable, pixels, {})
        pq.write_table(facts, tmp_path / f"facts-{threads}")
    for part in ("pixels", "facts"):
        assert (tmp_path / f"{part}-1").read_bytes() == (tmp_path / f"{part}-5").read_bytes()


def test_batches_hold_few_images_and_together_are_all_of_them(mixed_files, monkeypatch):
    whole, ids, expected = decode_images(mixed_files, 16, "bilinear", MAX_PIXELS, threads=1)
    monkeypatch.setattr(decoding, "FILES_AT_ONCE", 5)
    facts, readable, pixels = [], [], []
    for table, names_there, some in decoded_batches(mixed_files, 16, "bilinear", MAX_PIXELS, 2):
        assert table.num_rows <= 5
        facts.append(table)
        readable += names_there
        pixels.append(some)
    assert len(facts) == -(-len(mixed_files) // 5) > 1
    assert pa.concat_tables(facts).equals(whole) and readable == ids
    np.testing.assert_array_equal(np.concatenate(pixels), expected)


def test_what_was_written_may_be_overwritten_at_once(tmp_path):
    stored, memory = pictures(6, 4), np.empty((2, 4, 4), np.uint8)
    with shard_writer(tmp_path / "s.parquet", 4, {"size": 4}) as write:
        for start in (0, 2, 4):
            memory[:] = stored[start : start + 2]
            write(names(6)[start : start + 2], memory)
    np.testing.assert_array_equal(read_pixels([tmp_path / "s.parquet"], names(6), 4), stored)
    write_shard(tmp_path / "whole.parquet", names(6), stored, {"size": 4})
    both = [pq.read_schema(tmp_path / name).metadata for name in ("s.parquet", "whole.parquet")]
    checksums = [json.loads(metadata.pop(cache.CHECKSUMS))["pixels"] for metadata in both]
    assert [len(each) for each in checksums] == [3, 1]  # as many as row groups
    expected = {
        b"size": b"4",
        b"content_fingerprint": content_fingerprint(names(6), stored).encode(),
    }
    assert both == [expected, expected]


def test_a_shard_whose_images_fail_half_way_is_not_there(tmp_path):
    with (
        pytest.raises(RuntimeError, match="half way"),
        shard_writer(tmp_path / "s.parquet", 4, {}) as write,
    ):
        write(names(2), pictures(2, 4))
        raise RuntimeError("half way")
    assert list(tmp_path.iterdir()) == []


def test_a_shard_in_which_nothing_is_readable_can_be_written_and_read(tmp_path):
    facts, readable, pixels = decode_images(
        [("A/x", tmp_path / "missing.png")], 16, "bilinear", MAX_PIXELS, threads=1
    )
    write_shard(tmp_path / "s.parquet", readable, pixels, {})
    assert (facts.num_rows, readable, pixels.shape) == (1, [], (0, 16, 16))
    assert read_pixels([tmp_path / "s.parquet"], [], 16).shape == (0, 16, 16)


def test_equal_pictures_in_different_formats_share_their_pixel_checksum(tiny_image, tmp_path):
    png = tiny_image("x.png")
    Image.open(png).save(tmp_path / "x.bmp")
    facts, _, _ = decode_images(
        [("A/x", png), ("B/x", tmp_path / "x.bmp")], 16, "bilinear", MAX_PIXELS, threads=1
    )
    assert facts["file_sha256"][0] != facts["file_sha256"][1]
    for column in ("pixel_sha256", "words", "thumbnail"):
        assert facts[column][0] == facts[column][1]
    assert isinstance(facts["words"].type, pa.FixedSizeBinaryType)


def test_a_flipped_bit_in_the_pixels_is_noticed_and_the_file_named(tmp_path):
    file = tmp_path / "s.parquet"
    write_shard(file, names(4), pictures(4, 32), {})
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(CacheError, match=r"s\.parquet is damaged .* delete it"):
        read_pixels([file], names(4), 32)


def test_a_truncated_shard_is_noticed_and_named(tmp_path):
    file = tmp_path / "s.parquet"
    write_shard(file, names(4), pictures(4, 32), {})
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CacheError, match=r"s\.parquet is damaged"):
        read_pixels([file], names(4), 32)


def test_pixels_can_be_read_into_a_file_instead_of_memory(tmp_path):
    write_shard(tmp_path / "a.parquet", names(4)[:2], pictures(4, 8)[:2], {})
    write_shard(tmp_path / "b.parquet", names(4)[2:], pictures(4, 8)[2:], {})
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    wanted = [names(4)[k] for k in (3, 0, 2)]
    mapped = np.memmap(tmp_path / "pixels.raw", np.uint8, "w+", shape=(3, 64))
    found = read_pixels(files, wanted, 8, mapped)
    assert np.shares_memory(found, mapped)
    assert np.array_equal(found, read_pixels(files, wanted, 8))


def test_what_exceeds_the_memory_allowed_is_mapped_from_a_file_that_vanishes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    write_shard(tmp_path / "a.parquet", names(4), pictures(4, 512), {})
    shards, wanted = [tmp_path / "a.parquet"], names(4)[::-1]
    inside = read_pixels_within(shards, wanted, 512, memory_mb=1)
    mapped = read_pixels_within(shards, wanted, 512, memory_mb=0.9)
    assert not isinstance(inside.base, np.memmap)
    assert isinstance(mapped.base, np.memmap)
    assert np.array_equal(inside, mapped)
    assert not list((tmp_path / "temporary").iterdir())


def test_an_image_of_one_grey_is_set_apart_and_one_of_two_is_not(tmp_path):
    grey = np.full((40, 40), 7, np.uint8)
    for name, last in (("blank", 7), ("nearly", 8)):
        grey[-1, -1] = last
        Image.fromarray(grey).save(tmp_path / f"{name}.png")
    facts, pixels = decode_image("A/x", tmp_path / "blank.png", 16, "bilinear", MAX_PIXELS)
    assert pixels is None
    assert facts["quarantine_reason"].startswith("The image is of one grey level throughout")
    assert decode_image("A/x", tmp_path / "nearly.png", 16, "bilinear", MAX_PIXELS)[1] is not None

"""Unions and schemes that leave out sources: what is refused, and which folds there are."""

from pathlib import Path

import pytest

from workflow_scripts.cxrcam.configuration.resolution import (
    ConfigurationError,
    check_union_images,
    held_out_values,
    load_schema,
    resolve_configuration,
)
from workflow_scripts.cxrcam.configuration.several_sources import MOST_VALUES
from workflow_scripts.cxrcam.data.listing.image_files import ImageFile
from workflow_scripts.cxrcam.data.listing.listed import ListedDataSet
from workflow_scripts.cxrcam.paper.designs import describe_design, find_designs
from workflow_scripts.cxrcam.study.listing import list_study
from workflow_scripts.cxrcam.study.study import Study

SCHEMA = load_schema(Path(__file__).parents[2] / "schemas/config.schema.yaml")


def configuration(**both) -> dict:
    return {
        "dataset": "both",
        "datasets": {
            "one": {"kind": "manifest", "path": "one.csv"},
            "two": {"kind": "manifest", "path": "two.csv"},
            "other": {"kind": "union", "of": ["one", "two"]},
            "both": {"kind": "union", "of": ["one", "two"], **both},
        },
        "tasks": {"two_class": {"classes": ["Normal", "COVID"]}},
        "schemes": {
            "holdout": {"kind": "holdout"},
            "sites": {"kind": "leave_one_out"},
            "again": {"kind": "same_splits", "of": "sites"},
        },
    }


def resolved(**both) -> dict:
    return resolve_configuration(configuration(**both), SCHEMA)


def complaint(**both) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolved(**both)
    return str(caught.value)


# --- unions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("both", "words"),
    [
        ({"of": ["one", "twoo"]}, ["'twoo'", "no entry of `datasets`", "mean 'two'?", "one, two"]),
        ({"of": ["one", "other"]}, ["datasets.both.of", "'other'", "is a union itself"]),
        ({"of": ["one", "one"]}, ["datasets.both.of lists 'one' more than once: keep one."]),
        ({"of": ["one"]}, ["datasets.both.of is ['one'] (1 entry)", "two or more names"]),
        ({"labels": {"tow": {}}}, ["labels names 'tow'", "mean 'two'?", "They are: one, two"]),
        ({"labels": {"two": {"x": "a/b"}}}, ["datasets.both.labels.two.x", "slashes"]),
    ],
)
def test_a_union_of_what_cannot_be_one_is_refused_in_a_sentence(both, words):
    message = complaint(**both)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message


@pytest.mark.parametrize("external", ["one", "other"])
def test_images_that_are_trained_on_are_not_external(external):
    config = {**configuration(), "external": [external]}
    with pytest.raises(ConfigurationError, match=f"external names '{external}'.*images of 'one'"):
        resolve_configuration(config, SCHEMA)


def images(*rows) -> list[ImageFile]:
    """Images, given `(label, source, data set, further columns...)`."""
    return [
        ImageFile(
            f"{member}/{number}", "", label, source=source, extra={"data_set": member, **further}
        )
        for number, (label, source, member, further) in enumerate(rows)
    ]


def test_a_union_whose_data_sets_share_no_class_is_refused_and_one_that_shares_some_is_not():
    apart = images(("COVID", "", "one", {}), ("Normal", "", "two", {}), ("odd", "", "two", {}))
    with pytest.raises(ConfigurationError) as caught:
        check_union_images(resolved(), apart)
    for words in ("datasets.both", "one has COVID; two has Normal, odd", "datasets.both.labels"):
        assert words in str(caught.value)
    # A class of no task does not join them.
    with pytest.raises(ConfigurationError):
        check_union_images(resolved(), [*apart, *images(("odd", "", "one", {}))])
    check_union_images(resolved(), [*apart, *images(("Normal", "", "one", {}))])


# --- leave_one_out --------------------------------------------------------------------------------


def of_sites(*sites: str, further=None) -> list[ImageFile]:
    """An image of each class at each site."""
    rows = [(label, site, "one", further or {}) for site in sites for label in ("Normal", "COVID")]
    return images(*rows)


def refusal(listed, **design) -> str:
    config = resolved()
    config["schemes"]["sites"] |= design
    with pytest.raises(ConfigurationError) as caught:
        held_out_values(config, listed)
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and message.startswith("schemes.sites.by is ")
    return message


def test_folds_are_the_sorted_values_and_images_without_one_make_none():
    assert held_out_values(resolved(), of_sites("Rome", "unknown", "Bonn", "")) == {
        "sites": ["Bonn", "Rome"]
    }


def test_any_column_of_a_manifest_tells_sources_apart():
    config = resolved()
    config["schemes"]["sites"]["by"] = "scanner"
    listed = [*of_sites("a", further={"scanner": "2"}), *of_sites("a", further={"scanner": "1"})]
    assert held_out_values(config, listed) == {"sites": ["1", "2"]}
    assert refusal(listed, by="source") == (
        "schemes.sites.by is 'source', but all images have the same, 'a': choose another column, "
        "or set schemes.sites to null."
    )


def test_a_column_that_no_image_has_is_refused_with_those_that_they_have():
    listed = of_sites("a", "b", further={"scanner": "1"})
    message = refusal(listed, by="scaner")
    assert "Did you mean 'scanner'?" in message and "source, data_set, scanner" in message
    assert "no image has a source" in refusal(of_sites("", "unknown"))


def test_too_many_values_and_one_site_in_two_spellings_are_refused():
    assert f"{MOST_VALUES + 1} values" in refusal(of_sites(*map(str, range(MOST_VALUES + 1))))
    assert len(held_out_values(resolved(), of_sites(*map(str, range(50))))["sites"]) == 50
    assert "'Site A' and 'site a' differ only by case" in refusal(of_sites("Site A", "site a"))


def test_a_source_with_one_class_is_refused_by_name():
    listed = [*of_sites("a", "b"), *images(("COVID", "X", "one", {}))]
    assert (
        "'X' has only COVID images: a test on it could not tell classes apart. Leave empty source "
        "for such images" in refusal(listed)
    )


def test_a_source_without_one_of_three_classes_or_with_all_images_of_one_is_refused():
    config = configuration()
    config["tasks"]["two_class"]["classes"].append("Viral Pneumonia")
    config = resolve_configuration(config, SCHEMA)
    listed = of_sites("b", "c") + images(("Viral Pneumonia", "b", "one", {}))
    with pytest.raises(ConfigurationError, match="'b' has all images of Viral Pneumonia"):
        held_out_values(config, listed)
    # With one from nobody knows where, b can be left out, but c has none to test.
    listed += images(("Viral Pneumonia", "", "one", {}))
    with pytest.raises(ConfigurationError, match="'c' has no image of Viral Pneumonia: leave"):
        held_out_values(config, listed)


def test_tasks_that_the_scheme_is_not_run_with_do_not_matter():
    config = configuration()
    config["tasks"]["three_class"] = {"classes": ["Normal", "COVID", "Viral Pneumonia"]}
    config["schemes"]["sites"]["tasks"] = ["two_class"]
    config["schemes"]["again"]["tasks"] = ["two_class"]
    config = resolve_configuration(config, SCHEMA)
    assert held_out_values(config, of_sites("a", "b")) == {"sites": ["a", "b"]}


def test_a_study_has_one_fold_a_source_also_for_another_recipe_on_the_same_images():
    config = resolved()
    listed = ListedDataSet(config["datasets"]["both"], Path("none"), [], ["00000"], ["hash"])
    study = Study(config, {"both": listed}, {"sites": ["a", "b", "c"]})
    assert [run["fold"] for run in study.runs_of("two_class", "again")] == [1, 2, 3]
    assert [run["fold"] for run in study.divisions if run["scheme"] == "sites"] == [1, 2, 3]
    assert study.held_out_value("again", 2) == "b" and study.held_out_value("holdout", 1) is None
    names = ["source a", "source b", "source c"]
    assert study.held_out_in_words == {"sites": names, "again": names}
    assert study.division_in_words("sites") == "one source left out at a time"


def test_a_study_of_a_union_is_listed_and_names_the_data_set_at_fault(tmp_path):
    config = configuration()
    for name in ("one", "two"):
        lines = ["path,label"]
        for label in ("Normal", "COVID"):
            for number in range(10):
                (tmp_path / f"{name}-{label}-{number}.png").touch()
                lines.append(f"{name}-{label}-{number}.png,{label}")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
        config["datasets"][name]["path"] = str(tmp_path / f"{name}.csv")
    config["schemes"]["holdout"]["test_fraction"] = 0.2
    study = list_study(resolve_configuration(config, SCHEMA))
    assert study.held_out == {"sites": ["one", "two"]} and study.n_images("both") == 40
    config["datasets"]["two"]["not_copies"] = "absent.csv"
    with pytest.raises(
        ConfigurationError, match=r"datasets\.two\.not_copies: the file 'absent.csv'"
    ):
        list_study(resolve_configuration(config, SCHEMA))


def test_the_paper_takes_it_for_none_of_its_own_designs():
    config = resolved()
    designs = find_designs(config)
    assert (designs.complete, designs.subsample, designs.kfold) == ("holdout", None, None)
    assert describe_design(config, "two_class", "sites").startswith("one source left out at a time")

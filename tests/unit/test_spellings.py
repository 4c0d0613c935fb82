"""Names in several spellings, words for "unknown", and labels that are lists of classes."""

from pathlib import Path

import pytest
import yaml

from workflow_scripts.cxrcam.data.listing.combined_labels import (
    combined_labels,
    combined_labels_in_words,
)
from workflow_scripts.cxrcam.data.listing.spellings import (
    MISSING_WORDS,
    first_alike,
    missing_words,
    normalised,
    skeleton,
    without_missing_words,
)


def test_the_schema_lists_every_word_for_unknown():
    file = Path(__file__).parents[2] / "schemas/config.schema.yaml"
    schema = yaml.safe_load(file.read_text("utf-8"))
    text = schema["$defs"]["manifest"]["properties"]["path"]["description"]
    listed = text.partition("in any case: ")[2].split(", ")
    assert {*listed} | {""} == MISSING_WORDS and len(listed) == len({*listed})


@pytest.mark.parametrize("word", ["NA", " nan ", "Unknown", "-", "None", "#N/A", "?"])
def test_usual_words_for_unknown_name_no_patient(word):
    assert without_missing_words([word, "P1"]) == ["", "P1"]
    assert missing_words([word, "P1", word, ""]) == {word: 2}


@pytest.mark.parametrize("name", ["Nan Li", "0", "unknown hospital", "N", "none-7"])
def test_a_name_that_only_resembles_such_a_word_is_kept(name):
    assert without_missing_words([name]) == [name]
    assert missing_words([name]) == {}


def test_numbers_are_one_however_they_are_written():
    assert {normalised(text) for text in ("1", "01", "1.0", "1.", " 1 ")} == {"1"}
    assert normalised("1.5") != normalised("15")
    assert normalised("10") != normalised("1")
    assert normalised("P01") != normalised("P1")  # no number: a name with digits


def test_letters_of_other_alphabets_look_like_latin_ones():
    assert skeleton("СOVID") == skeleton("COVID")  # Cyrillic С
    assert skeleton("Νormal") == skeleton("Normal")  # Greek Ν
    assert normalised("СOVID") != normalised("COVID")


def test_the_first_two_alike_are_named_in_their_order():
    assert first_alike(["a", "b", "B", "A"], normalised) == ("b", "B")
    assert first_alike(["a", "b"], normalised) is None
    assert first_alike(["a", "a"], normalised) is None


def test_labels_that_are_lists_name_the_classes_in_them():
    sizes = {"Effusion|Mass": 3, "COVID-19, ARDS": 2, "Mass": 9, "A/B test": 1, "effusion ; x": 1}
    assert combined_labels(sizes, ["Effusion", "Mass"]) == {
        "Effusion|Mass": ("Effusion", "Mass"),
        "effusion ; x": ("Effusion",),
    }
    assert combined_labels(sizes, ["COVID-19"]) == {"COVID-19, ARDS": ("COVID-19",)}


def test_a_class_that_has_a_separator_in_its_name_is_no_list():
    assert combined_labels({"A/B": 5, "A": 2}, ["A/B", "A"]) == {}


def test_the_sentence_says_how_many_images_each_task_loses():
    sizes = {"Effusion|Mass": 3, "COVID, ARDS": 1, "Mass": 9}
    tasks = {"masses": ["Mass", "Effusion"], "covid": ["COVID"], "other": ["Nodule"]}
    first, second = combined_labels_in_words(sizes, tasks)
    assert first.startswith("Task masses leaves out 3 images whose label is a list")
    assert "'Effusion|Mass' (3)" in first
    assert second.startswith("Task covid leaves out 1 image whose")

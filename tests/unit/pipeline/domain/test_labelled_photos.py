"""What a folder of photos says about labels, and what is refused with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.events import EARLIEST, ENGLISH, LABELS
from pipeline.domain.labelled_photos import LabelledPhoto, Words, labelled
from pipeline.domain.rows import oddity
from tests.builders import NOW

WORDS = Words(ENGLISH)
NAMES = st.lists(st.text("abc가/. ", min_size=1, max_size=12), unique=True, max_size=8)
CELL = st.one_of(st.sampled_from(["photo", "label", "good", "양호", "불량", "a.jpg", '"']), st.text(max_size=6))


def listed(*rows):
    return "\n".join(["photo,label", *rows])


def test_a_folder_for_each_label_says_what_is_in_it():
    photos = labelled(["양호/a.jpg", "불량/deep/b.jpg"], WORDS, None)
    assert set(photos) == {LabelledPhoto("양호/a.jpg", "양호"), LabelledPhoto("불량/deep/b.jpg", "불량")}


def test_folders_may_have_the_words_for_places_without_korean_letters():
    assert {p.label for p in labelled(["good/a.jpg", "defective/b.jpg"], WORDS, None)} == set(LABELS)


def test_what_computers_leave_behind_is_no_photo():
    names = [".DS_Store", "README.txt", ".git/config", "good/.DS_Store", "good/a.jpg", "defective/b.jpg"]
    assert [p.name for p in labelled(names, WORDS, None)] == ["defective/b.jpg", "good/a.jpg"]


def test_a_list_beside_the_photos_says_it_too():
    photos = labelled(["x/1.jpg", "2.jpg", "labels.csv"], WORDS, listed("x/1.jpg,양호", "2.jpg, defective "))
    assert photos == (LabelledPhoto("x/1.jpg", "양호"), LabelledPhoto("2.jpg", "불량"))


def test_a_list_may_have_other_columns_and_come_from_a_spreadsheet():
    text = "\ufeffbranch,label,photo\r\n7,good,1.jpg\r\n7,불량,2.jpg\r\n"
    assert [p.label for p in labelled(["1.jpg", "2.jpg"], WORDS, text)] == ["양호", "불량"]


@pytest.mark.parametrize(
    ("names", "text", "sentence"),
    [
        (["good/a.jpg", "stained/b.jpg"], None, "no label is called stained: folders may be 양호 .or good., 불량"),
        (["a.jpg"], None, "neither a labels.csv nor a folder of photos"),
        ([], None, "neither a labels.csv nor a folder of photos"),
        (["good/a.jpg"], None, "no photo is labelled 불량"),
        (["1.jpg"], "name,label\n1.jpg,good", "first line of labels.csv is .*must name photo and label"),
        (["1.jpg"], "", "first line of labels.csv is None"),
        (["1.jpg"], listed("1.jpg,wet"), "line 2 of labels.csv: no label is called 'wet'"),
        (["1.jpg"], listed("1.jpg"), "line 2 of labels.csv: no label is called None"),
        (["1.jpg"], listed("1.jpg,good", "7.jpg,good"), "line 3 of labels.csv: there is no photo '7.jpg'"),
        (["1.jpg"], listed("1.jpg,good", "1.jpg,불량"), "line 3 of labels.csv: '1.jpg' has a line already"),
    ],
)
def test_what_is_wrong_is_named_with_how_it_has_to_be(names, text, sentence):
    with pytest.raises(DatasetRefused, match=sentence):
        labelled(names, WORDS, text)


@given(names=NAMES, text=st.none() | st.lists(st.lists(CELL, max_size=3).map(",".join), max_size=4).map("\n".join))
def test_any_folder_gives_photos_that_are_in_it_with_labels_that_are_known_or_a_sentence(names, text):
    try:
        photos = labelled(names, WORDS, text)
    except DatasetRefused as refused:
        assert str(refused)
    else:
        assert {p.name for p in photos} <= set(names) and {p.label for p in photos} == set(LABELS)
        assert len({p.task_id for p in photos}) == len(photos)


def test_a_labelled_photo_is_a_task_that_was_confirmed_before_every_correction():
    task = LabelledPhoto("good/a.jpg", "양호").as_task("s3://datasets/first-model/abc.jpg")
    assert isinstance(task, ConfirmedTask) and oddity(task, LABELS, NOW) == ""
    assert (task.corrected, task.final_result, task.confirmed_at) == (False, "양호", EARLIEST)

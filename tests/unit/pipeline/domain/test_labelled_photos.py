"""What a folder of photos says about labels, and what is refused with a sentence."""

import unicodedata

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


@pytest.mark.parametrize("of_list", ["NFC", "NFD"])
@pytest.mark.parametrize("of_files", ["NFC", "NFD"])
def test_korean_names_are_the_same_whole_or_taken_apart(of_files, of_list):
    """A Mac takes them apart."""
    names = [unicodedata.normalize(of_files, name) for name in ("불량/나.jpg", "양호/가.jpg")]
    assert {p.name: p.label for p in labelled(names, WORDS, None)} == dict(zip(names, ("불량", "양호"), strict=True))
    text = unicodedata.normalize(of_list, listed("양호/가.jpg,양호", "불량/나.jpg,불량"))
    assert {p.name: p.label for p in labelled(names, WORDS, text)} == dict(zip(names, ("불량", "양호"), strict=True))


def test_two_files_that_differ_in_nothing_else_are_two_photos():
    names = [unicodedata.normalize(form, "가.jpg") for form in ("NFC", "NFD")]
    photos = labelled(names, WORDS, listed(f"{names[0]},good", f"{names[1]},불량"))
    assert [p.name for p in photos] == names and len({p.task_id for p in photos}) == 2


@given(name=st.binary(min_size=1, max_size=20).map(lambda raw: raw.decode(errors="surrogateescape")))
def test_whatever_bytes_a_name_has_its_task_can_be_written_down(name):
    """As a name that an older Windows gave (CP949)."""
    photo = LabelledPhoto(name, "양호")
    task = photo.as_task(f"file:///photos/{name}", photo.fault)
    assert all(text.encode() for text in (task.task_id, task.photo_url))
    assert bool(task.fault) == any("\udc80" <= letter <= "\udcff" for letter in name)


def test_folders_whose_names_are_no_text_are_refused_with_what_can_be_printed():
    folder = "양호".encode("cp949").decode(errors="surrogateescape")
    with pytest.raises(DatasetRefused, match=r"no label is called \\udcbe.*: folders may be 양호") as refused:
        labelled([f"{folder}/a.jpg"], WORDS, None)
    assert str(refused.value).encode()


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

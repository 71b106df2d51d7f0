"""Photos that somebody sorted by label before there was any model; the first model learns from them."""

import csv
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.dataset import FIRST, ConfirmedTask
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.event_bounds import EARLIEST

LIST = "labels.csv"
"""Its rows name a photo, by its path beside the list, and a label."""
_HEADER = ("photo", "label")
_SHOWN = 5


@dataclass(frozen=True)
class LabelledPhoto:
    """`name` is the photo's path below the folder."""

    name: str
    label: str

    @property
    def task_id(self) -> str:
        return f"{FIRST}{_escaped(self.name)}"

    @property
    def fault(self) -> str:
        """Why no table or bucket can store its name; empty for a good name."""
        if _escaped(self.name) == self.name:
            return ""
        return f"the name {_escaped(self.name)} is not UTF-8, as one from an older Windows: rename the file"

    def as_task(self, photo_url: str, fault: str = "") -> ConfirmedTask:
        """The photo as a task that was confirmed before everything else, so that every correction counts as newer."""
        return ConfirmedTask(
            task_id=self.task_id,
            photo_url=_escaped(photo_url),
            ai_result=self.label,
            final_result=self.label,
            corrected=False,
            correction_reason=None,
            confirmed_at=EARLIEST,
            fault=fault,
        )


@dataclass(frozen=True)
class Words:
    """The words that a folder or a row may use for a label: `english` gives each label its word in Latin letters."""

    english: Mapping[str, str]

    def __str__(self) -> str:
        return ", ".join(f"{label} (or {word})" for label, word in self.english.items())

    def label(self, word: str) -> str | None:
        labels = {label: label for label in self.english} | {word: label for label, word in self.english.items()}
        return labels.get(_composed(word).strip())


def labelled(names: Sequence[str], words: Words, listed: str | None) -> tuple[LabelledPhoto, ...]:
    """`names` are paths below the folder, `listed` is the text of its list; None: its folders are the labels.

    Raises `DatasetRefused` with what is wrong, and how it has to be.
    """
    photos = tuple(_by_list(listed, set(names), words) if listed is not None else _by_folder(names, words))
    if missing := [label for label in words.english if label not in {photo.label for photo in photos}]:
        raise DatasetRefused(f"no photo is labelled {', '.join(missing)}: a model needs photos of each label")
    return photos


def _by_folder(names: Sequence[str], words: Words) -> Iterator[LabelledPhoto]:
    """Files in no folder, and what computers leave behind (`.DS_Store`), are no photos."""
    found = [(name, name.partition("/")[0]) for name in sorted(names) if "/" in name]
    shown = [(name, folder) for name, folder in found if not any(part.startswith(".") for part in name.split("/"))]
    if unknown := sorted({folder for _, folder in shown if words.label(folder) is None}):
        raise DatasetRefused(f"no label is called {_escaped(', '.join(unknown[:_SHOWN]))}: folders may be {words}")
    if not shown:
        raise DatasetRefused(f"there is neither a {LIST} nor a folder of photos: folders may be {words}")
    for name, folder in shown:
        yield LabelledPhoto(name, str(words.label(folder)))


def _by_list(listed: str, names: set[str], words: Words) -> Iterator[LabelledPhoto]:
    rows = csv.DictReader(listed.lstrip("\ufeff").splitlines())
    if not set(_HEADER) <= set(rows.fieldnames or ()):
        raise DatasetRefused(f"the first line of {LIST} is {rows.fieldnames}, but must name {' and '.join(_HEADER)}")
    alike = {_composed(name): name for name in names}
    seen: set[str] = set()
    for row in rows:
        written, label = (row["photo"] or "").strip(), words.label(row["label"] or "")
        name = written if written in names else alike.get(_composed(written), written)
        place = f"line {rows.line_num} of {LIST}"
        if label is None:
            raise DatasetRefused(f"{place}: no label is called {row['label']!r}; it may be {words}")
        if name not in names:
            raise DatasetRefused(f"{place}: there is no photo {name[:200]!r}")
        if name in seen:
            raise DatasetRefused(f"{place}: {name[:200]!r} has a line already")
        seen.add(name)
        yield LabelledPhoto(name, label)


def _composed(text: str) -> str:
    """In file names a Mac decomposes Korean letters (NFD); people and spreadsheets write them composed (NFC)."""
    return unicodedata.normalize("NFC", text)


def _escaped(name: str) -> str:
    """The name with its bytes written out that are not UTF-8, which Python keeps as lone surrogates."""
    return name.encode(errors="backslashreplace").decode()

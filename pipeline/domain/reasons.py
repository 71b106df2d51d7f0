"""Why verdicts are corrected: a short list of reasons, and which of them people's own words mean
(specification §10).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.domain.bounds import AtLeastOne
from pipeline.domain.dataset import Photo
from pipeline.domain.events import DEFECTIVE

OTHER = "기타"
"""The reason of a text that names no reason of the list."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class KnownReasons:
    """What people said of the photos to learn from: `of` maps a task to its reasons, none of which means that there is
    nothing to complain about. Tasks of which nobody said why are not in it. `clusters` says which photos are
    near-duplicates, one piece of evidence; a task that is not in it is its own.
    """

    names: tuple[str, ...] = ()
    min_photos: int = 1
    of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clusters: Mapping[str, str] = field(default_factory=dict)

    def cluster(self, task_id: str) -> str:
        return self.clusters.get(task_id, task_id)


@dataclass(frozen=True)
class ReasonList:
    """What a correction may be about. A few reasons only, so that there are enough photos of each to learn from."""

    reasons: tuple[tuple[str, Words], ...] = (
        ("얼룩", ("커피", "와인", "물감", "stain", "coffee", "wine")),
        ("잉크", ("볼펜", "ink")),
        ("흙", ("진흙", "mud", "dirt")),
        ("기름", ("오일", "grease", "oil")),
        ("찢어짐", ("찢", "구멍", "뜯", "tear", "torn", "hole")),
        ("탈색", ("표백", "변색", "이염", "bleach", "fad")),
        ("무늬를 결함으로 봄", ("무늬", "패턴", "단추", "로고", "pattern", "button", "logo")),
    )
    """Reasons of corrections, each with how words begin that mean it in people's own text, such as
    `[["얼룩", ["커피", "stain"]], …]`; the name means it, too. What names none is `기타`."""
    min_reason_photos: AtLeastOne = 20
    """Photos to learn a reason from, and as many of other garments, below which models do not suggest it;
    near-duplicates count once."""

    def __post_init__(self) -> None:
        names = [name for name, _ in self.reasons]
        if len(set(names)) < len(names) or OTHER in names or not all(names):
            raise ValueError(f"reasons has an empty name, {OTHER}, or the same one twice")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.reasons)

    def of(self, text: str | None) -> tuple[str, ...]:
        """Every reason that a text means, in the order of the list; none for a text that says nothing."""
        if not text or not text.strip():
            return ()
        said = text.casefold()
        found = tuple(name for name, words in self.reasons if any(_says(said, word) for word in (name, *words)))
        return found or (OTHER,)

    def known(self, photos: Iterable[Photo]) -> KnownReasons:
        """What people said about these photos."""
        said = [(photo, why) for photo in photos if (why := _said(photo)) is not None]
        return KnownReasons(
            self.names,
            self.min_reason_photos,
            of={photo.task_id: why for photo, why in said},
            clusters={photo.task_id: photo.cluster_id for photo, _ in said},
        )


def _said(photo: Photo) -> tuple[str, ...] | None:
    """None when nobody named the reason: whoever agrees with `불량` does not say why."""
    if photo.corrected:
        return tuple(name for name in photo.reasons if name != OTHER) or None
    return None if photo.label == DEFECTIVE else ()


def _says(text: str, word: str) -> bool:
    """Whether the text contains a Korean word anywhere, or a word that begins with another one: `ink` is not found in
    `wrinkle`.
    """
    word = word.casefold()
    return re.search(rf"(?<![a-z]){re.escape(word)}" if word.isascii() else re.escape(word), text) is not None

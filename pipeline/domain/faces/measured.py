"""What is measured of a candidate for faces and of the champion, on the people of the test side."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.domain.faces.curves import Scores
from pipeline.domain.faces.live import Rate, rate_of_people
from pipeline.domain.faces.rates import AtThreshold


@dataclass(frozen=True)
class Spread:
    """Whether all numbers of the embeddings are finite, and over how many dimensions they spread.

    `dimensions` is the participation ratio of the variances along principal axes: 1 when all lie on a line.
    """

    finite: bool
    dimensions: float


@dataclass(frozen=True)
class Gallery:
    """Of this many `people` of the dataset, each enrolled with one photo: how many their own photo does not
    find first.
    """

    people: int
    lost: int


@dataclass(frozen=True)
class Sought:
    """Photos of who judges, looked for among so many `others` (1:N), by person: of `photos` `named` as somebody else by
    who is a stranger there; of photos of people who are there, `mated`, so many `found` as who they are.
    """

    others: int
    threshold: float
    photos: tuple[int, ...]
    named: tuple[int, ...]
    mated: tuple[int, ...]
    found: tuple[int, ...]

    @property
    def fpir(self) -> Rate:
        """False positive identification rate."""
        return rate_of_people(list(zip(self.named, self.photos, strict=True)))

    @property
    def tpir(self) -> Rate:
        """True positive identification rate: `failed` counts who was found."""
        return rate_of_people(list(zip(self.found, self.mated, strict=True)))


@dataclass(frozen=True)
class Champion:
    """What serves now, on the same people at its own threshold; of each one's pairs of photos `flipped` are accepted by
    it and refused by the candidate. `ours` are the candidate's errors on these photos, where they are not all.
    """

    version: str
    errors: AtThreshold
    flipped: tuple[int, ...]
    scores: Scores | None = None
    ours: AtThreshold | None = None

    @property
    def flips(self) -> Rate:
        return rate_of_people(list(zip(self.flipped, self.errors.accepted, strict=True)))


@dataclass(frozen=True)
class FaceMeasurement:
    """A candidate on the people of the test side, at the threshold it would serve with.

    The champion is None for the first model, and where it turns what another network says, of which too little is kept:
    then it is `incomparable`, by its version. `slices` are people by number, of each branch, camera or quality.
    """

    candidate: AtThreshold
    spread: Spread
    gallery: Gallery
    champion: Champion | None = None
    slices: Mapping[str, frozenset[int]] = field(default_factory=dict)
    scores: Scores | None = None
    incomparable: str = ""
    sought: Sought | None = None

    @property
    def against(self) -> str | None:
        """The champion's version, measured or not."""
        return self.champion.version if self.champion else self.incomparable or None

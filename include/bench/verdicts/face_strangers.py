"""How often strangers are named where many people are enrolled, and how many of the right ones are found for it.

Synthetic people as in `face_rates`: thresholds are set by some, and others are enrolled and sought.
"""

from dataclasses import dataclass

import numpy as np

from include.bench.measurement import Figures, Found, Say
from include.bench.verdicts.face_rates import generated
from include.contract.identification import threshold_among
from pipeline.domain.faces.gate import FaceGatePolicy
from pipeline.learning.faces.head import Head
from pipeline.learning.faces.measuring import Faces, Served, threshold_of, thresholds_of

CALIBRATE, ENROLLED = (50, 150, 200), (300, 1000, 5000)
_STRANGERS, _WIDTH = 1000, 128
IDENTITY = Head.identity(_WIDTH)


@dataclass(frozen=True)
class Named:
    """Shares, 0-1: of photos of strangers that are named, and of photos of who is enrolled, found as who they are."""

    strangers: float
    found: float


def face_strangers(say: Say) -> Found:
    figures: Figures = {}
    for people in CALIBRATE:
        model = served(people, seed=1)
        for enrolled in ENROLLED:
            among = threshold_among(enrolled, model.identification, model.threshold)
            one, many = (named(enrolled, threshold) for threshold in (model.threshold, among))
            say(
                f"{people} people set it, {enrolled} are enrolled: of strangers {many.strangers:.2%} are named (by the "
                f"threshold for one {one.strangers:.1%}), {many.found:.1%} are found (by that {one.found:.1%})"
            )
            of = f"{people}_people_{enrolled}_enrolled"
            figures |= {f"fpir_{of}": many.strangers, f"tpir_{of}": many.found}
            figures |= {f"fpir_by_one_{of}": one.strangers, f"tpir_by_one_{of}": one.found}
    return Found(figures, f"Generated people; {_STRANGERS} strangers with 4 photos each before the doors.")


def served(people: int, *, seed: int) -> Served:
    """No head, and the thresholds that so many people set."""
    policy, calibrate = FaceGatePolicy(), Faces(*generated(people, seed=seed))
    far = policy.target(people)
    alone = threshold_of(IDENTITY, calibrate, far)
    return Served("", IDENTITY, alone, thresholds_of(IDENTITY, calibrate, policy, alone, far))


def named(enrolled: int, threshold: float, *, strangers: int = _STRANGERS, seed: int = 99) -> Named:
    there = generated(enrolled, seed=seed)[0].reshape(enrolled, -1, _WIDTH)
    gallery, sought = there[:, 0], there[: min(enrolled, strangers), 1:]
    best = _best(generated(strangers, seed=seed + 1)[0], gallery)
    own = np.einsum("npw,nw->np", sought, gallery[: len(sought)]).ravel()
    others = np.stack([sought[at] @ np.delete(gallery, at, 0).T for at in range(len(sought))]).max(2).ravel()
    return Named(float((best >= threshold).mean()), float(((own >= threshold) & (own > others)).mean()))


def _best(photos: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    return np.concatenate([(photos[at : at + 500] @ gallery.T).max(1) for at in range(0, len(photos), 500)])

"""What it brings to learn from people who were let in as others, on people who were generated.

Synthetic: vectors of 128 numbers, 60 families whose members look alike but in 16 directions; photos of one person
differ most in 24 others (light, say). Impostors are strangers whom the head that serves takes for somebody. TAR is that
of other people, where their FAR is what is wanted. Nothing here says how much of this faces have.
"""

import numpy as np
import numpy.typing as npt

from include.bench.measurement import Found, Say
from pipeline.learning.faces.head import Head, Impostors, apart, unit_length, whitening
from pipeline.learning.faces.measuring import Faces, tar_score

Array = npt.NDArray[np.float32]
SEEDS = (1, 2, 3, 4, 5, 6)
_WIDTH, _FAMILIES, _LIGHT, _LOOKS = 128, 60, 24, 16
_PHOTOS, _LEARNED, _CALIBRATE, _JUDGE, _STRANGERS, _IMPOSTORS = 4, 150, 150, 250, 3000, 100
_FAR = 1e-3


def impostors(say: Say) -> Found:
    gains: dict[str, list[float]] = {"apart": [], "by_chance": [], "alike_nowhere": []}
    kept = 0
    for seed in SEEDS:
        with_looks, chance, won = compared(seed, looks=0.9)
        without, _, _ = compared(seed, looks=0.0)
        for name, gain in zip(gains, (with_looks, chance, without), strict=True):
            gains[name].append(gain)
        kept += won
        said = (f"{name} {found[-1] * 100:+.1f} pp" for name, found in gains.items())
        say(f"seed {seed}: {', '.join(said)}")
    figures = {f"tar_gained_{name}": float(np.mean(found)) for name, found in gains.items()}
    figures |= {"tar_gained_least": min(gains["apart"]), "kept_by_calibrate": kept / len(SEEDS)}
    return Found(figures, f"Generated people, {len(SEEDS)} seeds, {_IMPOSTORS} impostors among {_LEARNED} people.")


def compared(seed: int, *, looks: float) -> tuple[float, float, bool]:
    """TAR gained over whitening with impostors, and with as many pairs of anybody; whether calibrate likes the first.

    `looks`: how much members of a family differ in the few directions that tell them apart.
    """
    learned, calibrate, judge = (
        generated(people, seed * 10 + number, looks) for number, people in enumerate((_LEARNED, _CALIBRATE, _JUDGE))
    )
    person = np.unique(learned.identities, return_inverse=True)[1]
    plain = whitening(learned.base, person)
    taken, anybody = _taken(plain, learned, seed, looks)
    found = apart(learned.base, person, taken)
    said, truth = tar_score(calibrate, _FAR), tar_score(judge, _FAR)
    usual = truth(plain)
    by_chance = apart(learned.base, person, anybody)
    return truth(found) - usual, truth(by_chance) - usual, said(found) > said(plain)


def generated(people: int, seed: int, looks: float, photos: int = _PHOTOS) -> Faces:
    world = np.random.default_rng(10_000)
    families = world.normal(size=(_FAMILIES, _WIDTH))
    axes = np.linalg.qr(world.normal(size=(_WIDTH, _WIDTH)))[0].T
    light, look = axes[:_LIGHT], axes[_LIGHT : _LIGHT + _LOOKS]
    rng = np.random.default_rng(seed)
    means = families[rng.integers(_FAMILIES, size=people)] + 0.25 * rng.normal(size=(people, _WIDTH))
    means = means + looks * rng.normal(size=(people, _LOOKS)) @ look
    spread = rng.lognormal(0.0, 0.25, size=(people, 1, 1))
    seen = 0.35 * rng.normal(size=(people, photos, _WIDTH)) + 1.1 * rng.normal(size=(people, photos, _LIGHT)) @ light
    base = unit_length((means[:, None] + spread * seen).reshape(-1, _WIDTH).astype(np.float32))
    return Faces(base, [f"person-{number:05d}" for number in range(people) for _ in range(photos)])


def _taken(head: Head, learned: Faces, seed: int, looks: float) -> tuple[Impostors, Impostors]:
    """Strangers who look most like somebody by the head that serves, and as many who look like nobody."""
    strangers = generated(_STRANGERS, seed * 10 + 9, looks, photos=1).base
    cosines = head.project(strangers) @ head.project(learned.base[::_PHOTOS]).T
    closest = np.argsort(-cosines.max(1))[:_IMPOSTORS]
    rng = np.random.default_rng(seed)
    others = Impostors(strangers[:_IMPOSTORS], rng.integers(_LEARNED, size=_IMPOSTORS))
    return Impostors(strangers[closest], cosines.argmax(1)[closest]), others

"""Laundry photos, drawn: fabrics, folds, light, and what makes a garment defective; the same spec, the same bytes."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 640, 480
_JPEG_QUALITY = 88
_GOOD_SHARE = 0.55
_DRAWN_AT_ONCE = 32
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PhotoSpec:
    """`defect` None is a garment in good order."""

    fabric: str
    defect: str | None
    seed: int

    @property
    def label(self) -> str:
        return "양호" if self.defect is None else "불량"


def base_specs(count: int, seed: int) -> list[PhotoSpec]:
    """The archive: plain fabrics, and only the defects people complained about first."""
    return _specs(count, seed, ("plain", "denim", "stripes", "knit"), ("coffee", "mud", "ink"))


def live_specs(count: int, seed: int) -> list[PhotoSpec]:
    """What really comes in: everything."""
    return _specs(count, seed + 1000, tuple(_FABRICS), tuple(_DEFECTS))


def draw(spec: PhotoSpec) -> bytes:
    """JPEG of 640×480 pixels."""
    rng = np.random.default_rng([spec.seed, *spec.fabric.encode(), *(spec.defect or "").encode()])
    garment = _FABRICS[spec.fabric](rng)
    finish = _innocent if spec.defect is None else _DEFECTS[spec.defect]
    garment = finish(garment, rng)
    photo = _noisy(garment * _light(rng)[..., None], rng)
    ok, encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert ok, "OpenCV encodes any uint8 image"
    return bytes(encoded.tobytes())


def draw_all(specs: Sequence[PhotoSpec], processes: int = 2) -> Iterator[bytes]:
    """Each spec's photo, in order, drawn by so many processes.

    They are new programs: a forked one inherits gRPC's threads half-way through their work, and dies of it.
    """
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as painters:
        yield from painters.map(draw, specs, chunksize=_DRAWN_AT_ONCE)


def _specs(count: int, seed: int, fabrics: tuple[str, ...], defects: tuple[str, ...]) -> list[PhotoSpec]:
    rng = np.random.default_rng(seed)
    specs = []
    for number in range(count):
        good = rng.random() < _GOOD_SHARE
        defect = None if good else str(rng.choice(defects))
        specs.append(PhotoSpec(str(rng.choice(fabrics)), defect, seed * 1_000_000 + number))
    return specs


# Fabrics: float32 BGR [480, 640, 3] of 0-255 -----------------------------------------------------------------------

_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)


def _colour(rng: np.random.Generator, low: int = 60, high: int = 230) -> Pixels:
    return rng.uniform(low, high, 3).astype(np.float32)


def _flat(colour: Pixels) -> Pixels:
    return np.broadcast_to(colour, (HEIGHT, WIDTH, 3)).copy()


def _weave(rng: np.random.Generator, strength: float) -> Pixels:
    period = rng.uniform(3, 5)
    pattern = np.outer(np.sin(_Y[:, 0] * (6.28 / period)), np.sin(_X[0] * (6.28 / period)))
    return (1 + strength * pattern).astype(np.float32)[..., None]


def _plain(rng: np.random.Generator) -> Pixels:
    return _flat(_colour(rng)) * _weave(rng, 0.03)


def _denim(rng: np.random.Generator) -> Pixels:
    colour = np.array([rng.uniform(110, 160), rng.uniform(70, 100), rng.uniform(40, 70)], np.float32)
    waves = 1 + 0.12 * np.sin(np.arange(WIDTH + HEIGHT, dtype=np.float32) * 1.3)
    twill = waves[(_X + _Y).astype(np.int32)]
    return _flat(colour) * twill[..., None].astype(np.float32)


def _stripes(rng: np.random.Generator) -> Pixels:
    angle, period = rng.uniform(0, 3.14), rng.uniform(18, 50)
    wave = (_X * np.float32(np.cos(angle)) + _Y * np.float32(np.sin(angle))) % period < period * rng.uniform(0.35, 0.65)
    return np.where(wave[..., None], _colour(rng), _colour(rng)).astype(np.float32) * _weave(rng, 0.03)


def _knit(rng: np.random.Generator) -> Pixels:
    period = rng.uniform(9, 15)
    rows, columns = _Y[:, 0] * (6.28 / period), np.sin(_X[0] / period)
    # sin(a + b) from its parts: two small vectors instead of a sine for every pixel.
    wave = np.outer(np.sin(rows), np.cos(columns)) + np.outer(np.cos(rows), np.sin(columns))
    loops = np.abs(np.sin(_X[0] * (3.14 / period))) * (0.75 + 0.25 * wave)
    return _flat(_colour(rng)) * (0.7 + 0.35 * loops).astype(np.float32)[..., None]


def _plaid(rng: np.random.Generator) -> Pixels:
    cloth, period = _flat(_colour(rng)), rng.uniform(50, 90)
    for colour, axis in ((_colour(rng), _X), (_colour(rng), _Y), (_colour(rng), _X + 20), (_colour(rng), _Y + 30)):
        band = ((axis % period) < period * rng.uniform(0.15, 0.45)).astype(np.float32)[..., None]
        cloth = cloth * (1 - 0.45 * band) + colour * 0.45 * band
    return cloth * _weave(rng, 0.04)


def _floral(rng: np.random.Generator) -> Pixels:
    cloth, petals = _flat(_colour(rng)), _colour(rng, 30, 250)
    for _ in range(int(rng.integers(25, 45))):
        x, y, radius = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(7, 15)
        for turn in np.linspace(0, 6.28, 6)[:-1]:
            at = (int(x + radius * np.cos(turn)), int(y + radius * np.sin(turn)))
            cv2.circle(cloth, at, int(radius * 0.7), petals.tolist(), -1, cv2.LINE_AA)
        cv2.circle(cloth, (int(x), int(y)), int(radius * 0.5), (60, 200, 230), -1, cv2.LINE_AA)
    return cloth * _weave(rng, 0.03)


def _dots(rng: np.random.Generator) -> Pixels:
    cloth, spot, period = _flat(_colour(rng)), _colour(rng), rng.uniform(35, 60)
    squares = np.add.outer((_Y[:, 0] % period - period / 2) ** 2, (_X[0] % period - period / 2) ** 2)
    inside = squares < (period * rng.uniform(0.18, 0.3)) ** 2
    return np.where(inside[..., None], spot, cloth).astype(np.float32) * _weave(rng, 0.03)


_FABRICS: Mapping[str, Callable[[np.random.Generator], Pixels]] = {
    "plain": _plain,
    "denim": _denim,
    "stripes": _stripes,
    "knit": _knit,
    "plaid": _plaid,
    "floral": _floral,
    "dots": _dots,
}

# Defects ----------------------------------------------------------------------------------------------------------


def _blob(rng: np.random.Generator, low: float, high: float, roughness: float) -> npt.NDArray[np.float32]:
    """Soft mask [480, 640] of 0-1 with an irregular edge; `low`, `high` are radii in pixels."""
    x, y, radius = rng.uniform(0.2, 0.8) * WIDTH, rng.uniform(0.2, 0.8) * HEIGHT, rng.uniform(low, high)
    # Only the blob's surroundings are computed: most of a photo is cloth.
    reach = int(radius * 2.5)
    rows = slice(max(0, int(y) - reach), min(HEIGHT, int(y) + reach))
    columns = slice(max(0, int(x) - reach), min(WIDTH, int(x) + reach))
    dx, dy = _X[rows, columns] - x, _Y[rows, columns] - y
    angle = np.arctan2(dy, dx)
    edge = np.full_like(angle, radius)
    for lobes in range(2, 8):
        edge += radius * roughness / lobes * rng.normal() * np.sin(lobes * angle + rng.uniform(0, 6.28))
    distance = np.hypot(dx * rng.uniform(0.8, 1.25), dy)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[rows, columns] = np.clip((edge - distance) / (radius * 0.12) + 0.5, 0, 1)
    return mask


def _tinted(
    cloth: Pixels, mask: npt.NDArray[np.float32], colour: tuple[float, float, float], strength: float
) -> Pixels:
    amount = (mask * np.float32(strength))[..., None]
    return cloth + (np.array(colour, np.float32) - cloth) * amount


def _coffee(cloth: Pixels, rng: np.random.Generator) -> Pixels:
    mask = _blob(rng, 45, 95, 0.5)
    ring = np.clip(mask - cv2.erode(mask, np.ones((9, 9), np.uint8)), 0, 1)
    return _tinted(_tinted(cloth, mask, (30, 60, 100), rng.uniform(0.4, 0.65)), ring, (15, 30, 60), 0.6)


def _mud(cloth: Pixels, rng: np.random.Generator) -> Pixels:
    for _ in range(int(rng.integers(4, 9))):
        cloth = _tinted(cloth, _blob(rng, 14, 48, 0.9), (35, 55, 75), rng.uniform(0.65, 0.9))
    return cloth


def _ink(cloth: Pixels, rng: np.random.Generator) -> Pixels:
    for _ in range(int(rng.integers(2, 5))):
        cloth = _tinted(cloth, _blob(rng, 12, 35, 0.3), (90, 25, 15), rng.uniform(0.8, 0.95))
    return cloth


def _grease(cloth: Pixels, rng: np.random.Generator) -> Pixels:
    """Grease darkens the cloth, and its pattern still shows."""
    mask = cv2.GaussianBlur(_blob(rng, 60, 120, 0.35), (0, 0), 3)
    return cloth * (1 - mask[..., None] * rng.uniform(0.35, 0.5))


def _tear(cloth: Pixels, rng: np.random.Generator) -> Pixels:
    """A slit with frayed edges, dark inside."""
    x, y, angle = rng.uniform(150, 490), rng.uniform(120, 360), rng.uniform(0, 3.14)
    length, steps = rng.uniform(120, 230), 14
    along = np.linspace(-length / 2, length / 2, steps)
    gap = np.sin(np.linspace(0, 3.14, steps)) * rng.uniform(12, 26)
    sides = []
    for sign in (1, -1):
        offset = sign * gap + rng.normal(0, 2.5, steps)
        sides.append(
            np.stack(
                [
                    x + along * np.cos(angle) - offset * np.sin(angle),
                    y + along * np.sin(angle) + offset * np.cos(angle),
                ],
                axis=1,
            )
        )
    outline = np.concatenate([sides[0], sides[1][::-1]]).astype(np.int32)
    cloth = cloth.copy()
    cv2.fillPoly(cloth, [outline], (18, 16, 16), cv2.LINE_AA)
    for point in outline:
        end = point + rng.normal(0, 9, 2).astype(np.int32)
        cv2.line(cloth, tuple(point.tolist()), tuple(end.tolist()), (215, 215, 215), 1, cv2.LINE_AA)
    return cloth


def _bleach(cloth: Pixels, rng: np.random.Generator) -> Pixels:
    for _ in range(int(rng.integers(2, 5))):
        cloth = _tinted(cloth, _blob(rng, 25, 60, 0.8), (235, 240, 245), rng.uniform(0.6, 0.85))
    return cloth


_DEFECTS: Mapping[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "coffee": _coffee,
    "mud": _mud,
    "ink": _ink,
    "grease": _grease,
    "tear": _tear,
    "bleach": _bleach,
}


def _innocent(cloth: Pixels, rng: np.random.Generator) -> Pixels:
    """Adds what may be mistaken for a defect: a button, a pocket's seam, a small logo; or nothing."""
    cloth = cloth.copy()
    kind = rng.integers(4)
    x, y = int(rng.uniform(120, 520)), int(rng.uniform(100, 380))
    match kind:
        case 0:
            _button(cloth, x, y)
        case 1:
            cv2.line(cloth, (x, 0), (x + int(rng.normal(0, 40)), HEIGHT), (40, 40, 40), 2, cv2.LINE_AA)
        case 2:
            cv2.rectangle(cloth, (x, y), (x + 60, y + 26), _colour(rng).tolist(), -1)
    return cloth


def _button(cloth: Pixels, x: int, y: int) -> None:
    cv2.circle(cloth, (x, y), 16, (200, 205, 210), -1, cv2.LINE_AA)
    for dx, dy in ((-5, -5), (5, 5), (-5, 5), (5, -5)):
        cv2.circle(cloth, (x + dx, y + dy), 2, (60, 60, 60), -1, cv2.LINE_AA)


# Camera -----------------------------------------------------------------------------------------------------------


def _light(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Light from one side, folds, sometimes the photographer's shadow; factors around 1.

    Light changes slowly: a quarter of the resolution is enough.
    """
    across, down = _X[::4, ::4] / WIDTH - 0.5, _Y[::4, ::4] / HEIGHT - 0.5
    angle = rng.uniform(0, 6.28)
    light = 1 + rng.uniform(0.1, 0.35) * (across * np.cos(angle) + down * np.sin(angle))
    for _ in range(int(rng.integers(1, 4))):
        turn, place = rng.uniform(0, 3.14), rng.uniform(-0.3, 0.3)
        distance = across * np.cos(turn) + down * np.sin(turn) - place
        light *= 1 - rng.uniform(0.1, 0.25) * np.exp(-((distance / rng.uniform(0.02, 0.05)) ** 2))
    if rng.random() < 0.25:
        edge = across * np.cos(angle) + down * np.sin(angle) - rng.uniform(-0.3, 0.3)
        light *= 1 - 0.25 / (1 + np.exp(-edge * 25))
    light *= rng.uniform(0.75, 1.1)
    return np.asarray(cv2.resize(light.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.float32)


def _noisy(photo: Pixels, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    noise = rng.integers(-9, 10, (HEIGHT // 2, WIDTH // 2, 3)).astype(np.float32)
    photo += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    return np.asarray(np.clip(photo, 0, 255), np.uint8)

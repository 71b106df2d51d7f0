"""Memory of a verification as its photos grow in number."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import cv2
import numpy as np

from include.bench.child import in_child
from include.bench.measurement import Figures, Found, Say
from include.bench.photos import LABELS, a_photo
from include.bench.services import private_stack
from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.check_table import CheckTable
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.erasure_table import ErasureTable
from pipeline.adapters.mlflow_registry import MlflowExperiments
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.s3 import S3ObjectStore, S3PhotoStore
from pipeline.adapters.trial_server import FaceserveTrialServer
from pipeline.adapters.verification_report import HtmlReportPrinter
from pipeline.domain.blessing import WhenInconclusive
from pipeline.domain.checks import LoadTest
from pipeline.domain.dataset import Manifest, Photo, Split
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.bundles import Verification
from pipeline.steps.contest import Contest
from pipeline.steps.verify_accuracy import verify_accuracy

COUNTS = 100, 400, 1600
_SIZE, _QUALITY = (1700, 2150, 3), 98
# Label and darkest grey: what is bright is clean to the networks of these benchmarks.
_KINDS = {LABELS[0]: 160, LABELS[1]: 0}
# Turned round: what the champion judges right becomes wrong, so that the sheet of such photos is full.
_CANDIDATE, _CHAMPION = -8, 0
_MODELS = "s3://models/LAUNDRY/"
_HEAD = """# Does verification need more memory for more photos?

`make bench-verification` verifies with more and more photos of {photo_mb:.1f} MB, here {counts}, half of them
validation, half holdout: candidate and champion each in a private server, every photo out of S3 for each. The candidate
judges all of them wrong, so that the sheet of photos that became wrong is full. Two different photos, fetched anew for
each task.
Memory is the most that was resident at once in the process that asks, libraries included; the servers have their own.

| photos | MB of photos | MB of memory |
|---|---|---|
{rows}

The first photos fill the buffers: eight photos are fetched at once, sixteen are asked about. From {before} to {most}
photos it took {growth:.0f} MB more for every {megabytes:.0f} MB of photos.
"""


@dataclass(frozen=True)
class Place:
    """Where everything is; `photos` have their sha256 by label, `models` that of their manifest by run."""

    dsn: str
    endpoint: str
    photos: Mapping[str, str]
    models: Mapping[str, str]


def verification_memory(say: Say, counts: Sequence[int] = COUNTS) -> Found:
    bodies = {label: _photo(darkest) for label, darkest in _KINDS.items()}
    photo_mb = sum(map(len, bodies.values())) / len(bodies) / 1e6
    found = {}
    with private_stack(say, "postgres", "s3") as stack:
        place = _prepared(stack.dsn("mlops", "mlops"), stack.s3_endpoint, bodies)
        for count in counts:
            found[count] = in_child(_verify, place, count)
            say(f"{count} photos: {found[count]['peak_mb']:.0f} MB")
    before, most = sorted(counts)[-2:]
    growth = (found[most]["peak_mb"] - found[before]["peak_mb"]) / (most - before) * 100
    figures: Figures = {f"peak_memory_mb_{count}_photos": round(one["peak_mb"]) for count, one in found.items()}
    figures |= {"growth_mb_per_100_photos": round(growth, 2)}
    rows = "\n".join(f"| {count} | {count * photo_mb:.0f} | {one['peak_mb']:.0f} |" for count, one in found.items())
    named = f"{', '.join(map(str, counts[:-1]))} and {counts[-1]}"
    told = {"before": before, "most": most, "growth": growth, "megabytes": 100 * photo_mb}
    page = _HEAD.format(counts=named, photo_mb=photo_mb, rows=rows, **told)
    how = f"verify_accuracy in a process of its own, photos of {photo_mb:.1f} MB from S3 on the same machine."
    return Found(figures, how, {"verification-memory.md": page.encode()})


def _photo(darkest: int) -> bytes:
    """Noise, which no JPEG makes small."""
    pixels = darkest + np.random.default_rng(1).integers(0, 96, _SIZE, np.uint8)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(encoded.tobytes())


def _prepared(dsn: str, endpoint: str, bodies: Mapping[str, bytes]) -> Place:
    from include.bench.artifacts import artifact

    objects = S3ObjectStore(endpoint=endpoint)
    for label, body in bodies.items():
        objects.write(_url(label), body)
    seeds = {"candidate": _CANDIDATE, "champion": _CHAMPION}
    models = {run: artifact("small", objects, f"{_MODELS}{run}/", seed=seed) for run, seed in seeds.items()}
    return Place(dsn, endpoint, {label: hashlib.sha256(body).hexdigest() for label, body in bodies.items()}, models)


def _verify(place: Place, count: int) -> dict[str, float]:
    verify_accuracy(_verification(place), _contest(place, count))
    return {}


def _verification(place: Place) -> Verification:
    """Everything real but what a verdict on accuracy does not use."""
    database = MlopsDatabase(place.dsn)
    return Verification(
        photos=S3PhotoStore(endpoint=place.endpoint, buckets=frozenset({"tasks"})),
        erasures=ErasureTable(database),
        trials=FaceserveTrialServer(s3_endpoint=place.endpoint),
        checks=CheckTable(database),
        blessings=BlessingTable(database),
        objects=S3ObjectStore(endpoint=place.endpoint),
        printer=HtmlReportPrinter(),
        experiments=MlflowExperiments("http://127.0.0.1:9"),
        clock=SystemClock(),
        labels=LABELS,
        policy=VerificationPolicy(),
        load_test=LoadTest(),
        when_inconclusive=WhenInconclusive.FLOORS,
        code={},
    )


def _contest(place: Place, count: int) -> Contest:
    def row(number: int) -> Photo:
        label, split = LABELS[number % 2], (Split.HOLDOUT, Split.VALIDATION)[number % 2]
        return a_photo(number, label, photo_url=_url(label), sha256=place.photos[label], split=split)

    manifest = Manifest(f"bench-{count}", "LAUNDRY", LABELS, None, None, tuple(row(n) for n in range(count)))
    candidate, champion = (Artifact(f"{_MODELS}{run}/", place.models[run]) for run in ("candidate", "champion"))
    serving = ModelVersion(
        version="v1.0.0",
        model_type=ModelType.LAUNDRY,
        run_id="champion",
        dataset_id="bench",
        backbone="small",
        artifact=champion,
        accuracy=1.0,
        val_accuracy=1.0,
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Contest("candidate", ModelType.LAUNDRY, candidate, serving, manifest)


def _url(label: str) -> str:
    return f"s3://tasks/{LABELS.index(label)}.jpg"

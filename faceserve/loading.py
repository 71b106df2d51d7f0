"""From an artifact to a generation that may serve: every check comes before the first request."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceserve.artifacts import ArtifactCache
from faceserve.comparison import VectorComparisonEngine
from faceserve.engines.base import EngineFactory, InferenceEngine, Output
from faceserve.errors import BadArtifact
from faceserve.features import FeatureExtractor
from include.contract.manifest import ArtifactManifest

_WARM_UP_BATCHES = (1, 2, 4)


@dataclass(frozen=True)
class Origin:
    """Where a version comes from: enough to load it again after a restart."""

    version: str
    artifact_uri: str
    manifest_sha256: str
    activated_at: float = 0.0


class Generation:
    """One loaded version: counts the requests that hold it, so that its engine is closed only after the last."""

    def __init__(self, origin: Origin, manifest: ArtifactManifest, engine: InferenceEngine) -> None:
        self.origin = origin
        self.labels = manifest.labels
        self.feature_width = manifest.feature_width
        self.engine = engine
        self.extractor = FeatureExtractor(engine)
        self.comparison = VectorComparisonEngine()
        self._held = 0
        self._closed = False
        self._idle = threading.Condition()

    def hold(self) -> bool:
        """Count one more request; False when this generation was freed meanwhile and another one serves."""
        with self._idle:
            if not self._closed:
                self._held += 1
            return not self._closed

    def release(self) -> None:
        with self._idle:
            self._held -= 1
            self._idle.notify_all()

    @property
    def held(self) -> int:
        return self._held

    def close_when_idle(self, seconds: float) -> bool:
        """Wait for the last request, then free the engine; False when the deadline came first (freed all the same)."""
        with self._idle:
            idle = self._idle.wait_for(lambda: self._held == 0, timeout=seconds)
            self._closed = True
        self.engine.close()
        return idle


@dataclass(frozen=True)
class Loaded:
    generation: Generation
    load_seconds: float
    warm_up_seconds: float


class Loader:
    """Download → checksums → (elsewhere: `vet`) → load → labels and shapes → warm-up → golden predictions.

    `vet` tries the downloaded artifact out where it can do no harm; without it all checks run in this process.
    """

    def __init__(
        self,
        cache: ArtifactCache,
        engine_name: str,
        load_engine: EngineFactory,
        vet: Callable[[Path], None] | None = None,
    ) -> None:
        self._cache = cache
        self._engine_name = engine_name
        self._load_engine = load_engine
        self._vet = vet

    def load(self, model: str, origin: Origin) -> Loaded:
        """Raises `BadArtifact` with the reason, or `StorageUnavailable`."""
        started = time.perf_counter()
        manifest, folder = self._cache.fetch(origin.artifact_uri, origin.manifest_sha256)
        if manifest.model_type.lower() != model:
            raise BadArtifact(f"the artifact is a {manifest.model_type} model, not {model}")
        if self._vet is not None:
            self._vet(folder)
        engine = load_engine(folder, manifest, self._engine_name, self._load_engine)
        loaded = time.perf_counter()
        try:
            if self._vet is None:
                check(engine, manifest, folder)
            else:
                # The same bytes passed every check a moment ago: one image warms this process's copy up.
                _warm_up(engine, manifest, batches=(1,))
        except BadArtifact:
            engine.close()
            raise
        return Loaded(Generation(origin, manifest, engine), loaded - started, time.perf_counter() - loaded)

    def forget_all_but(self, origins: Iterable[Origin]) -> None:
        """Free the disk of artifacts that no version in use or in the history needs."""
        self._cache.keep_only({origin.manifest_sha256 for origin in origins})


def load_engine(folder: Path, manifest: ArtifactManifest, engine_name: str, load: EngineFactory) -> InferenceEngine:
    """The artifact's model in the named engine. Raises `BadArtifact`."""
    entry = manifest.engines.get(engine_name)
    if entry is None:
        raise BadArtifact(f"the artifact has no {engine_name} model, only {', '.join(manifest.engines)}")
    try:
        return load(folder / entry)
    except Exception as error:
        raise BadArtifact(f"{engine_name} cannot load {entry}: {_short(error)}") from error


def check(engine: InferenceEngine, manifest: ArtifactManifest, folder: Path) -> None:
    """Shapes, finite numbers, golden predictions. Raises `BadArtifact`."""
    _warm_up(engine, manifest, batches=_WARM_UP_BATCHES)
    _check_golden(engine, manifest, folder)


def _warm_up(engine: InferenceEngine, manifest: ArtifactManifest, batches: Sequence[int]) -> None:
    pixels = manifest.input_pixels
    for count in batches:
        _infer(engine, manifest, np.zeros((count, pixels, pixels, 3), np.uint8))


def _check_golden(engine: InferenceEngine, manifest: ArtifactManifest, folder: Path) -> None:
    """The same answers as the trainer's, within the manifest's tolerance."""
    try:
        with np.load(folder / manifest.golden.file, allow_pickle=False) as golden:
            images, expected = golden["images"], golden["probabilities"]
    except (OSError, ValueError, KeyError) as error:
        raise BadArtifact(f"golden predictions cannot be read: {_short(error)}") from None
    if not len(images) or len(images) != len(expected):
        raise BadArtifact("golden predictions are empty or incomplete")
    found = _infer(engine, manifest, np.ascontiguousarray(images, np.uint8)).probabilities
    worst = float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")
    if not worst <= manifest.golden.tolerance:
        raise BadArtifact(f"golden predictions differ by {worst:.3g}, {manifest.golden.tolerance:g} is allowed")


def _infer(engine: InferenceEngine, manifest: ArtifactManifest, images: npt.NDArray[np.uint8]) -> Output:
    try:
        output = engine.infer(images)
    except Exception as error:
        raise BadArtifact(f"the model fails on {len(images)} images: {_short(error)}") from error
    if output.probabilities.shape != (len(images), len(manifest.labels)):
        shape = list(output.probabilities.shape)
        raise BadArtifact(f"the model gives probabilities of shape {shape} for {len(manifest.labels)} labels")
    if not (np.isfinite(output.probabilities).all() and np.isfinite(output.features).all()):
        raise BadArtifact("the model gives numbers that are not finite")
    return output


def _short(error: Exception) -> str:
    return f"{type(error).__name__} {' '.join(str(error).split())[:200]}"

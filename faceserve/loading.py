"""From an artifact to a generation that may serve: every check comes before the first request."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceserve.artifacts import ArtifactCache
from faceserve.comparison import VectorComparisonEngine
from faceserve.engines.base import EngineFactory, InferenceEngine, Output, artifact_key
from faceserve.errors import BadArtifact
from include.contract.manifest import ArtifactManifest
from include.contract.preprocessing import INPUT_PIXELS

_TIMED_CALLS = 3


@dataclass(frozen=True)
class Origin:
    """Where a version comes from: enough to load it again after a restart."""

    version: str
    artifact_uri: str
    manifest_sha256: str
    activated_at: float = 0.0


class Generation:
    """One loaded version: counts the requests that hold it, so that its engine is closed only after the last."""

    def __init__(
        self,
        origin: Origin,
        manifest: ArtifactManifest,
        engine: InferenceEngine,
        *,
        precision: str = "f32",
        cpu_ms: float = 0.0,
    ) -> None:
        """`cpu_ms` is the processor time one image took when the artifact was tried out; 0 when that is not known."""
        self.origin = origin
        self.model = manifest.model_type.lower()
        self.labels = manifest.labels
        self.backbone = manifest.backbone
        self.feature_width = manifest.feature_width
        self.input_pixels = manifest.input_pixels
        self.precision = precision
        self.cpu_ms = cpu_ms
        self.engine = engine
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


@dataclass(frozen=True)
class Examined:
    """`precision` is the first that gave the trainer's answers."""

    precision: str
    cpu_ms: float


@dataclass(frozen=True)
class Examination:
    """What a model must pass before it may serve: load → shapes, finite numbers → golden predictions → pace."""

    engine: str
    precisions: tuple[str, ...]
    max_cpu_ms: float = float("inf")
    sizes: tuple[int, ...] = (1,)

    @property
    def keys(self) -> tuple[str, ...]:
        """The artifact's files needed, as the manifest names them."""
        return tuple(dict.fromkeys(artifact_key(self.engine, precision) for precision in self.precisions))

    def examine(self, folder: Path, manifest: ArtifactManifest, load: EngineFactory) -> Examined:
        """Try the precisions in order. Raises `BadArtifact` with what the last one did wrong."""
        for precision in self.precisions[:-1]:
            try:
                return self._examined(folder, manifest, load, precision)
            except BadArtifact:
                continue
        return self._examined(folder, manifest, load, self.precisions[-1])

    def loaded(self, folder: Path, manifest: ArtifactManifest, load: EngineFactory, precision: str) -> InferenceEngine:
        """The artifact's model in the engine. Raises `BadArtifact`."""
        key = artifact_key(self.engine, precision)
        entry = manifest.engines.get(key)
        if entry is None:
            raise BadArtifact(f"the artifact has no {key} model, only {', '.join(manifest.engines)}")
        try:
            return load(folder / entry, precision)
        except Exception as error:
            raise BadArtifact(f"{self.engine} cannot load {entry}: {_short(error)}") from error

    def _examined(self, folder: Path, manifest: ArtifactManifest, load: EngineFactory, precision: str) -> Examined:
        engine = self.loaded(folder, manifest, load, precision)
        try:
            engine.prepare(list(self.sizes))
            _check_golden(engine, manifest, folder, precision)
            for size in self.sizes:
                _infer(engine, manifest, _blank(manifest, size))
            cpu_ms = _cpu_ms(engine, manifest)
            if cpu_ms > self.max_cpu_ms:
                took = f"{cpu_ms:.0f} ms of processor time"
                raise BadArtifact(f"one image takes {took}, {self.max_cpu_ms:g} ms are allowed")
        finally:
            engine.close()
        return Examined(precision, cpu_ms)


Vet = Callable[[str, Origin], Examined]
"""Fetches an artifact and tries it out where it can do no harm; raises what `Loader.load` does."""


class Loader:
    """Download → checksums → (elsewhere: `vet`) → load → labels and shapes → warm-up → golden predictions."""

    def __init__(
        self,
        cache: ArtifactCache,
        examination: Examination,
        load_engine: EngineFactory,
        *,
        vet: Vet | None = None,
        settle: Callable[[Generation], None] = lambda generation: None,
    ) -> None:
        """`settle` readies a generation that passed every check: warm-up, gallery."""
        self._cache = cache
        self._examination = examination
        self._load_engine = load_engine
        self._vet = vet
        self._settle = settle

    def load(self, model: str, origin: Origin) -> Loaded:
        """Raises `BadArtifact` with the reason, or `StorageUnavailable`."""
        started = time.perf_counter()
        examined = self._vet(model, origin) if self._vet else self.examine(model, origin)
        manifest, folder = self._cache.opened(origin.manifest_sha256)
        engine = self._examination.loaded(folder, manifest, self._load_engine, examined.precision)
        loaded = time.perf_counter()
        # Other requests' work would count as the candidate's, unless it was tried out in a process of its own.
        cpu_ms = examined.cpu_ms if self._vet else 0.0
        generation = Generation(origin, manifest, engine, precision=examined.precision, cpu_ms=cpu_ms)
        try:
            self._settle(generation)
        except Exception:
            engine.close()
            raise
        return Loaded(generation, loaded - started, time.perf_counter() - loaded)

    def examine(self, model: str, origin: Origin) -> Examined:
        """Fetch and try out in this process."""
        manifest, folder = self._cache.fetch(origin.artifact_uri, origin.manifest_sha256)
        if manifest.model_type.lower() != model:
            raise BadArtifact(f"the artifact is a {manifest.model_type} model, not {model}")
        if manifest.input_pixels != INPUT_PIXELS:
            raise BadArtifact(f"the model takes images of {manifest.input_pixels} pixels, {INPUT_PIXELS} are made here")
        return self._examination.examine(folder, manifest, self._load_engine)

    def forget_all_but(self, origins: Iterable[Origin]) -> None:
        """Free the disk of artifacts that no version in use or in the history needs."""
        self._cache.keep_only({origin.manifest_sha256 for origin in origins})


def _check_golden(engine: InferenceEngine, manifest: ArtifactManifest, folder: Path, precision: str) -> None:
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
    allowed = manifest.golden.allowed(precision)
    if not worst <= allowed:
        raise BadArtifact(f"golden predictions differ by {worst:.3g} in {precision}, {allowed:g} is allowed")


def _cpu_ms(engine: InferenceEngine, manifest: ArtifactManifest) -> float:
    """Processor time for one image: unlike the clock, it does not depend on what else runs here."""
    image = _blank(manifest, 1)
    started = time.process_time()
    for _ in range(_TIMED_CALLS):
        engine.infer(image)
    return (time.process_time() - started) * 1000 / _TIMED_CALLS


def _blank(manifest: ArtifactManifest, count: int) -> npt.NDArray[np.uint8]:
    return np.zeros((count, manifest.input_pixels, manifest.input_pixels, 3), np.uint8)


def _infer(engine: InferenceEngine, manifest: ArtifactManifest, images: npt.NDArray[np.uint8]) -> Output:
    try:
        output = engine.infer(images)
    except Exception as error:
        raise BadArtifact(f"the model fails on {len(images)} images: {_short(error)}") from error
    if output.probabilities.shape != (len(images), len(manifest.labels)):
        shape = list(output.probabilities.shape)
        raise BadArtifact(f"the model gives probabilities of shape {shape} for {len(manifest.labels)} labels")
    if output.features.shape != (len(images), manifest.feature_width):
        shape = list(output.features.shape)
        raise BadArtifact(f"the model gives features of shape {shape}, the manifest says {manifest.feature_width} wide")
    if not (np.isfinite(output.probabilities).all() and np.isfinite(output.features).all()):
        raise BadArtifact("the model gives numbers that are not finite")
    return output


def _short(error: Exception) -> str:
    return f"{type(error).__name__} {' '.join(str(error).split())[:200]}"

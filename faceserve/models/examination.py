"""What a model must pass before it may serve: load → shapes, finite numbers → golden predictions → pace."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceserve.engines.base import EngineFactory, Images, InferenceEngine, Output, artifact_key
from faceserve.errors import BadArtifact
from faceserve.models.arrays import read_arrays
from include.contract.manifest import ArtifactManifest

_TIMED_CALLS = 3
_MAX_GOLDEN_BYTES = 64 << 20


@dataclass(frozen=True)
class Examined:
    """`precision` is the first one that gave the trainer's answers; `cpu_ms` the processor time for one image."""

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
        """Which of the artifact's engines are needed, as the manifest names them."""
        return tuple(dict.fromkeys(artifact_key(self.engine, precision) for precision in self.precisions))

    def examine(self, folder: Path, manifest: ArtifactManifest, load: EngineFactory) -> Examined:
        """Try the precisions in order. If none passes, raises `BadArtifact` with the reason of the last one."""
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


def _check_golden(engine: InferenceEngine, manifest: ArtifactManifest, folder: Path, precision: str) -> None:
    """The same answers as the trainer's, within the manifest's tolerance."""
    names = ("images", "probabilities", *(("features",) if manifest.threshold is not None else ()))
    images, expected, *features = read_arrays(folder / manifest.golden.file, names, _MAX_GOLDEN_BYTES)
    said = all(one.dtype.kind == "f" and one.ndim == 2 for one in (expected, *features))
    if images.dtype != np.uint8 or images.ndim != 4 or not said:
        raise BadArtifact("golden predictions are no images with what is said of them")
    if not len(images) or len(images) != len(expected):
        raise BadArtifact("golden predictions are empty or incomplete")
    found = _infer(engine, manifest, np.ascontiguousarray(images))
    worst = max(_difference(found.probabilities, expected), *(_turned(found.features, kept) for kept in features), 0.0)
    allowed = manifest.golden.allowed(precision)
    if not worst <= allowed:
        raise BadArtifact(f"golden predictions differ by {worst:.3g} in {precision}, {allowed:g} is allowed")


def _difference(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    return float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")


def _turned(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """The largest distance from 1 of the cosine between an embedding and the trainer's; infinite for a zero vector."""
    if found.shape != expected.shape:
        return float("inf")
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    if not ((lengths > 0) & np.isfinite(lengths)).all():
        return float("inf")
    return float((1 - (found * expected).sum(1) / lengths).max())


def _cpu_ms(engine: InferenceEngine, manifest: ArtifactManifest) -> float:
    """Processor time for one image: unlike the clock, it does not depend on what else runs here."""
    image = _blank(manifest, 1)
    started = time.process_time()
    for _ in range(_TIMED_CALLS):
        engine.infer(image)
    return (time.process_time() - started) * 1000 / _TIMED_CALLS


def _blank(manifest: ArtifactManifest, count: int) -> Images:
    return np.zeros((count, manifest.input_pixels, manifest.input_pixels, 3), np.uint8)


def _infer(engine: InferenceEngine, manifest: ArtifactManifest, images: Images) -> Output:
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

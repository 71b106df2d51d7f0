"""One version in memory: where it came from, its engine, and the requests that use it just now."""

import math
import threading
import time
from dataclasses import dataclass

from faceserve.engines.base import InferenceEngine
from faceserve.models.projection import Projection
from faceserve.models.reasons import Reasons
from include.contract.identification import threshold_among
from include.contract.manifest import ArtifactManifest

_LONGEST_VERSION = 200
# Twice as long as a scheme, a bucket and the longest key that S3 has.
_LONGEST_URI = 2000


@dataclass(frozen=True)
class Origin:
    """Where a version comes from: enough to load it again after a restart. `activated_at` in seconds since 1970.

    Raises `ValueError` for what names no version, whoever says it: a caller, the registry or the disk.
    """

    version: str
    artifact_uri: str
    manifest_sha256: str
    activated_at: float = 0.0

    def __post_init__(self) -> None:
        if not all(isinstance(one, str) for one in (self.version, self.artifact_uri, self.manifest_sha256)):
            raise ValueError("version, URI and hash are texts")
        if not 0 < len(self.version) <= _LONGEST_VERSION:
            raise ValueError(f"a version has 1 to {_LONGEST_VERSION} characters, not {len(self.version)}")
        if not self.version.isprintable():
            raise ValueError("a version has no line breaks or other characters that nobody sees")
        if len(self.artifact_uri) > _LONGEST_URI:
            raise ValueError(f"an artifact's URI has at most {_LONGEST_URI} characters, not {len(self.artifact_uri)}")
        if not math.isfinite(self.activated_at):
            raise ValueError(f"{self.activated_at} is no time")


@dataclass(frozen=True)
class Beside:
    """What an artifact may hold beside its network."""

    reasons: Reasons
    projection: Projection | None


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
        beside: Beside | None = None,
    ) -> None:
        """`cpu_ms` is the processor time one image took when the artifact was tried out; 0 when that is not known."""
        self.origin = origin
        self.model = manifest.model_type.lower()
        self.labels = manifest.labels
        self.backbone = manifest.backbone
        self.feature_width = manifest.feature_width
        self.input_pixels = manifest.input_pixels
        self.threshold = manifest.threshold
        self.identification = manifest.identification
        self.portrait = manifest.portrait
        self.precision = precision
        self.cpu_ms = cpu_ms
        self.engine = engine
        self.reasons = beside.reasons if beside else Reasons.none()
        self.projection = beside.projection if beside else None
        self.loaded_at = time.monotonic()
        self._held = 0
        self._closed = False
        self._idle = threading.Condition()

    @property
    def version(self) -> str:
        return self.origin.version

    def threshold_among(self, people: int) -> float | None:
        """The cosine from which somebody is named where a photo is searched among this many people (1:N)."""
        return None if self.threshold is None else threshold_among(people, self.identification, self.threshold)

    @property
    def output_widths(self) -> dict[str, int]:
        """How many numbers each output has for an image."""
        return {"probabilities": len(self.labels), "features": self.feature_width}

    def hold(self) -> bool:
        """Count one more request; False if this generation was freed meanwhile, so that another one serves."""
        with self._idle:
            if not self._closed:
                self._held += 1
            return not self._closed

    def release(self) -> None:
        with self._idle:
            self._held -= 1
            self._idle.notify_all()

    @property
    def closed(self) -> bool:
        """Whether its engine was freed."""
        return self._closed

    @property
    def held(self) -> int:
        """Requests that use this version just now."""
        return self._held

    def close_when_idle(self, seconds: float) -> bool:
        """Wait for the last request, then free the engine. False if `seconds` passed first (freed all the same)."""
        with self._idle:
            idle = self._idle.wait_for(lambda: self._held == 0, timeout=seconds)
            self._closed = True
        self.engine.close()
        return idle

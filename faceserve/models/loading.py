"""From an artifact to a generation that may serve: every check comes before the first request."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from faceserve.engines.base import EngineFactory
from faceserve.errors import BadArtifact, InferenceFailed
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination, Examined
from faceserve.models.generation import Beside, Generation, Origin
from faceserve.models.projection import Projection
from faceserve.models.reasons import Reasons
from include.contract.preprocessing import INPUT_PIXELS


@dataclass(frozen=True)
class Loaded:
    generation: Generation
    load_seconds: float
    warm_up_seconds: float


GoOn = Callable[[], None]
"""Called again and again during a load, which ends with what it raises when nobody needs it any more."""

Vet = Callable[[str, Origin, GoOn], Examined]
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
        """`settle` is called with a generation that passed every check, to warm it up and to embed the gallery."""
        self._cache = cache
        self._examination = examination
        self._load_engine = load_engine
        self._vet = vet
        self._settle = settle

    def load(self, model: str, origin: Origin, go_on: GoOn = lambda: None) -> Loaded:
        """Raises `BadArtifact` with the reason, `StorageUnavailable`, or what `go_on` does."""
        started = time.perf_counter()
        examined = self._vet(model, origin, go_on) if self._vet else self.examine(model, origin, go_on)
        go_on()
        manifest, folder = self._cache.opened(origin.manifest_sha256)
        beside = Beside(Reasons.of(folder, manifest), Projection.of(folder, manifest))
        engine = self._examination.loaded(folder, manifest, self._load_engine, examined.precision)
        loaded = time.perf_counter()
        # Work for other requests would count as the candidate's; so the figure comes from a process of its own, if
        # there is one.
        cpu_ms = examined.cpu_ms if self._vet else 0.0
        generation = Generation(origin, manifest, engine, precision=examined.precision, cpu_ms=cpu_ms, beside=beside)
        try:
            go_on()
            self._settle(generation)
        except InferenceFailed as error:
            engine.close()
            raise BadArtifact(f"the model fails at its warm-up: {error}") from error
        except Exception:
            engine.close()
            raise
        return Loaded(generation, loaded - started, time.perf_counter() - loaded)

    def examine(self, model: str, origin: Origin, on_files: Callable[[], None] = lambda: None) -> Examined:
        """Fetch and try out in this process; `on_files` hears that the files have come."""
        manifest, folder = self._cache.fetch(origin.artifact_uri, origin.manifest_sha256)
        on_files()
        if manifest.model_type.lower() != model:
            raise BadArtifact(f"the artifact is a {manifest.model_type} model, not {model}")
        if manifest.input_pixels != INPUT_PIXELS:
            raise BadArtifact(f"the model takes images of {manifest.input_pixels} pixels, {INPUT_PIXELS} are made here")
        # Before they are read again in the server.
        Reasons.of(folder, manifest)
        Projection.of(folder, manifest)
        return self._examination.examine(folder, manifest, self._load_engine)

    def forget_all_but(self, needed: Iterable[Origin], loading: Iterable[Origin]) -> None:
        """Free the disk of all other artifacts, and of what is half-written of those that are not `loading`."""
        hashes = ({origin.manifest_sha256 for origin in origins} for origins in (needed, loading))
        self._cache.keep_only(*hashes)

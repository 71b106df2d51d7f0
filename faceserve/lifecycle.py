"""ModelLifecycleManager: load, check, swap by one reference, drain, keep the previous warm (specification §3.1)."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from faceserve.errors import BadArtifact, NoModel, StaleEpoch, UnknownModel
from faceserve.loading import Generation, Loader, Origin
from faceserve.metrics import Metrics
from faceserve.state import State, StateFile

log = logging.getLogger(__name__)

ANY_EPOCH = -1
_HISTORY = 10


@dataclass(frozen=True)
class Snapshot:
    """What serves: taken once by a request, which keeps it to its end. `epoch` only grows."""

    active: Generation | None = None
    previous: Generation | None = None
    epoch: int = 0


@dataclass(frozen=True)
class Prepared:
    version: str
    load_seconds: float
    warm_up_seconds: float
    epoch: int


@dataclass(frozen=True)
class Activated:
    version: str
    previous: str | None
    epoch: int
    swap_milliseconds: float


@dataclass
class _Slot:
    """One model name; `change` serialises its lifecycle calls, requests never take it."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    prepared: dict[str, Generation] = field(default_factory=dict)
    history: list[Origin] = field(default_factory=list)
    change: threading.RLock = field(default_factory=threading.RLock)


class ModelLifecycleManager:
    def __init__(
        self,
        models: tuple[str, ...],
        loader: Loader,
        state_dir: Path,
        metrics: Metrics,
        *,
        drain_seconds: float = 10.0,
        on_change: Callable[[str, bool], None] = lambda model, serving: None,
    ) -> None:
        self._slots = {name: _Slot() for name in models}
        self._loader = loader
        self._files = {name: StateFile(state_dir, name) for name in models}
        self._metrics = metrics
        self._drain_seconds = drain_seconds
        self._on_change = on_change

    # Requests

    @contextmanager
    def lease(self, model: str, version: str = "") -> Iterator[tuple[Generation, int]]:
        """The generation that serves now and its epoch, held until the request ends. No lock is waited for.

        Raises `UnknownModel` or `NoModel`.
        """
        slot = self._slot(model)
        while True:
            snapshot = slot.snapshot
            generation = _chosen(snapshot, model, version)
            if generation.hold():
                break
        try:
            yield generation, snapshot.epoch
        finally:
            generation.release()

    # Lifecycle

    def prepare(self, model: str, version: str, artifact_uri: str, manifest_sha256: str) -> Prepared:
        """Load a version beside the active one; what serves does not change. Raises `BadArtifact`."""
        slot = self._slot(model)
        origin = Origin(version, artifact_uri, manifest_sha256)
        with slot.change:
            snapshot = slot.snapshot
            for known in (snapshot.active, snapshot.previous, slot.prepared.get(version)):
                if known and known.origin.version == version:
                    _demand_same(known.origin, origin)
                    return Prepared(version, 0.0, 0.0, snapshot.epoch)
            loaded = self._loader.load(model, origin)
            self._metrics.load_seconds.labels(model).observe(loaded.load_seconds + loaded.warm_up_seconds)
            slot.prepared[version] = loaded.generation
            return Prepared(version, loaded.load_seconds, loaded.warm_up_seconds, snapshot.epoch)

    def activate(self, model: str, version: str, expected_epoch: int = ANY_EPOCH) -> Activated:
        """Serve a prepared version from the next request on. Raises `StaleEpoch`, `UnknownModel`."""
        slot = self._slot(model)
        with slot.change:
            before = slot.snapshot
            if before.active and before.active.origin.version == version:
                return Activated(version, _version(before.previous), before.epoch, 0.0)
            if expected_epoch not in {ANY_EPOCH, before.epoch}:
                raise StaleEpoch(
                    f"epoch {before.epoch} serves {_version(before.active)}, {expected_epoch} was expected"
                )
            generation = slot.prepared.get(version)
            if generation is None and before.previous and before.previous.origin.version == version:
                generation = before.previous
            if generation is None:
                raise UnknownModel(f"{model} {version} is not prepared on this replica")
            return self._exchange(model, slot, generation)

    def rollback(self, model: str, expected_epoch: int = ANY_EPOCH) -> Activated:
        """Serve the previous version again; it was kept warm."""
        slot = self._slot(model)
        with slot.change:
            if slot.snapshot.previous is None:
                raise UnknownModel(f"{model} has no previous version on this replica")
            return self.activate(model, slot.snapshot.previous.origin.version, expected_epoch)

    def discard(self, model: str, version: str) -> None:
        """Drop a prepared version; one that serves, served just before, or is unknown stays as it is."""
        slot = self._slot(model)
        with slot.change:
            generation = slot.prepared.pop(version, None)
        if generation is not None:
            generation.close_when_idle(self._drain_seconds)

    def restore(self) -> dict[str, str]:
        """Load what served before a restart; for each model that could not, the reason."""
        problems = {}
        for model, file in self._files.items():
            try:
                state = file.read()
                if state is not None:
                    self._restore(model, state)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one model, the others must serve
                problems[model] = str(error)
                file.set_aside()
        return problems

    def snapshot(self, model: str) -> Snapshot:
        return self._slot(model).snapshot

    def prepared(self, model: str) -> list[str]:
        return sorted(self._slot(model).prepared)

    def history(self, model: str) -> list[Origin]:
        """Newest first."""
        return self._slot(model).history[::-1]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._slots)

    # Inside

    def _slot(self, model: str) -> _Slot:
        if model not in self._slots:
            raise UnknownModel(f"no model {model[:40]!r}, only {', '.join(self._slots)}")
        return self._slots[model]

    def _restore(self, model: str, state: State) -> None:
        active = self._loader.load(model, state.active).generation
        previous = self._loader.load(model, state.previous).generation if state.previous else None
        slot = self._slot(model)
        slot.snapshot = Snapshot(active, previous, state.epoch)
        slot.history = [origin for origin in (state.previous, state.active) if origin]
        self._announce(model, active)

    def _exchange(self, model: str, slot: _Slot, generation: Generation) -> Activated:
        before = slot.snapshot
        activated = replace(generation.origin, activated_at=time.time())
        after = Snapshot(generation, before.active, before.epoch + 1)
        # Kept first: a replica that dies right after the exchange must come back with what it answered.
        self._files[model].write(State(activated, before.active.origin if before.active else None, after.epoch))
        started = time.perf_counter()
        slot.snapshot = after
        seconds = time.perf_counter() - started
        slot.prepared.pop(generation.origin.version, None)
        slot.history = [*slot.history, activated][-_HISTORY:]
        self._metrics.swap_seconds.labels(model).observe(seconds)
        self._metrics.swaps.labels(model, "activated").inc()
        self._announce(model, generation, before.active)
        gone = before.previous if before.previous not in {generation, before.active} else None
        threading.Thread(target=self._tidy, args=(gone,), daemon=True).start()
        log.info("%s hot-swapped: %s -> %s", model, _version(before.active), generation.origin.version)
        return Activated(generation.origin.version, _version(before.active), after.epoch, seconds * 1000)

    def _announce(self, model: str, active: Generation, before: Generation | None = None) -> None:
        if before is not None:
            self._metrics.active.labels(model, before.origin.version).set(0)
        self._metrics.active.labels(model, active.origin.version).set(1)
        self._on_change(model, True)

    def _tidy(self, gone: Generation | None) -> None:
        """Free what serves no more, in memory and on disk; away from the requests."""
        if gone and not gone.close_when_idle(self._drain_seconds):
            log.warning("%s still had requests after %s s", gone.origin.version, self._drain_seconds)
        slots = self._slots.values()
        prepared = [generation.origin for slot in slots for generation in list(slot.prepared.values())]
        self._loader.forget_all_but([*prepared, *(origin for slot in slots for origin in slot.history)])


def _chosen(snapshot: Snapshot, model: str, version: str) -> Generation:
    if snapshot.active is None:
        raise NoModel(f"no version of {model} serves on this replica yet")
    if not version:
        return snapshot.active
    for generation in (snapshot.active, snapshot.previous):
        if generation and generation.origin.version == version:
            return generation
    raise UnknownModel(f"{model} {version[:40]!r} is not loaded; {snapshot.active.origin.version} is active")


def _demand_same(known: Origin, asked: Origin) -> None:
    if known.manifest_sha256 != asked.manifest_sha256:
        raise BadArtifact(f"{known.version} is loaded from another artifact: a version never changes its files")


def _version(generation: Generation | None) -> str | None:
    return generation.origin.version if generation else None

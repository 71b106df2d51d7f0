"""ModelLifecycleManager: load, check, swap by one reference, drain, keep the previous warm (specification §3.1)."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from faceserve.canary import Limits, Share, Trial
from faceserve.disposal import Disposal
from faceserve.errors import BadArtifact, BadRequest, ServingError, StaleEpoch, UnknownModel
from faceserve.loading import Generation, Loader, Origin
from faceserve.metrics import Metrics
from faceserve.restoring import restored
from faceserve.slot import Canary, Concluded, Lease, Slot, Snapshot
from faceserve.state import State, StateFile

log = logging.getLogger(__name__)

ANY_EPOCH = -1
_HISTORY = 10
# A retrained network costs what the old one does; several times as much is a fault, not a choice.
_SLOWER = 4.0


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


class ModelLifecycleManager:
    def __init__(
        self,
        models: tuple[str, ...],
        loader: Loader,
        state_dir: Path,
        metrics: Metrics,
        *,
        drain_seconds: float = 10.0,
        calm_seconds: float = 0.0,
        warm_memory_bytes: float = float("inf"),
        canary_limits: Limits = Limits(),  # noqa: B008 - frozen
        on_change: Callable[[str, bool], None] = lambda model, serving: None,
    ) -> None:
        self._slots = {name: Slot(name) for name in models}
        self._loader = loader
        self._files = {name: StateFile(state_dir, name) for name in models}
        self._metrics = metrics
        self._calm_seconds = calm_seconds
        self._disposal = Disposal(self._slots, loader, drain_seconds, calm_seconds, warm_memory_bytes)
        self._canary_limits = canary_limits
        self._on_change = on_change
        self._revision = 0
        self._changed = threading.Condition()

    # Requests

    @contextmanager
    def lease(self, model: str, version: str = "", task_id: str = "") -> Iterator[Lease]:
        """See `Slot.lease`."""
        with self.slot(model).lease(version, task_id) as lease:
            yield lease

    # Lifecycle

    def prepare(self, model: str, version: str, artifact_uri: str, manifest_sha256: str) -> Prepared:
        """Load a version beside the active one; what serves does not change. Raises `BadArtifact`."""
        slot = self.slot(model)
        origin = Origin(version, artifact_uri, manifest_sha256)
        with slot.loading:
            known = slot.loaded(version)
            if known is not None:
                _demand_same(known.origin, origin)
                return Prepared(version, 0.0, 0.0, slot.snapshot.epoch)
            try:
                loaded = self._loader.load(model, origin)
            except BadArtifact:
                self._metrics.refusals.labels(model).inc()
                raise
            self._demand_pace(slot, loaded.generation)
            self._metrics.load_seconds.labels(model).observe(loaded.load_seconds)
            self._metrics.warm_up_seconds.labels(model).observe(loaded.warm_up_seconds)
            with slot.change:
                slot.prepared[version] = loaded.generation
            self._announce()
            # Loading took processor time: requests that queued up meanwhile come before whatever the caller does next.
            time.sleep(self._calm_seconds)
            return Prepared(version, loaded.load_seconds, loaded.warm_up_seconds, slot.snapshot.epoch)

    def activate(self, model: str, version: str, expected_epoch: int = ANY_EPOCH) -> Activated:
        """Serve a prepared version from the next request on. Raises `StaleEpoch`, `UnknownModel`."""
        slot = self.slot(model)
        with slot.change:
            before = slot.snapshot
            if before.active and before.active.origin.version == version:
                return Activated(version, _version(before.previous), before.epoch, 0.0)
            _demand_epoch(before, expected_epoch)
            generation = slot.loaded(version)
            if generation is None:
                raise UnknownModel(f"{model} {version[:40]} is not prepared on this replica")
            return self._activated(slot, generation)

    def rollback(self, model: str, version: str = "", expected_epoch: int = ANY_EPOCH) -> Activated:
        """Serve the previous version again, which is warm, or any of the last ten that served here."""
        slot = self.slot(model)
        with slot.change:
            snapshot = slot.snapshot
            warm = snapshot.previous.origin if snapshot.previous and not version else None
            wanted = [o for o in self.history(model) if not version or o.version == version]
        earlier = [origin for origin in wanted if origin.version != _version(snapshot.active)]
        if warm is None and not earlier:
            what = f"{version[:40]} among the last {_HISTORY} that served" if version else "previous version"
            raise UnknownModel(f"{model} has no {what} on this replica")
        target = warm or earlier[0]
        if slot.loaded(target.version) is None:
            self.prepare(model, target.version, target.artifact_uri, target.manifest_sha256)
        return self.activate(model, target.version, expected_epoch)

    def discard(self, model: str, version: str) -> None:
        """Drop a prepared version; one that serves, served just before, or is unknown stays as it is."""
        slot = self.slot(model)
        with slot.change:
            generation = slot.prepared.pop(version, None)
        if generation is not None:
            self._disposal.free(generation)
            self._announce()

    # Canary

    def set_canary(self, model: str, version: str, percent: float, *, shadow: bool = False) -> Canary:
        """Give a prepared version `percent` of the requests, or of their copies. Repeating it goes on with the trial.

        Raises `BadRequest` or `UnknownModel`.
        """
        if not 0 < percent <= 100:  # noqa: PLR2004
            raise BadRequest(f"a canary gets more than 0 and at most 100 percent, not {percent:g}")
        slot = self.slot(model)
        with slot.change:
            before = slot.snapshot
            running = before.canary
            if running and running.generation.origin.version != version:
                raise BadRequest(f"{running.generation.origin.version} is on trial already: promote or abort it first")
            if running and (running.share.percent, running.shadow) == (percent, shadow):
                return running
            generation = slot.loaded(version)
            if before.active is None or generation is None or generation is before.active:
                raise UnknownModel(f"{model} {version[:40]} is not prepared beside an active version on this replica")
            # Going from shadow to live, or to a larger share, keeps nothing: the figures would not compare.
            canary = Canary(generation, Share(percent, version), Trial(self._canary_limits), shadow)
            slot.snapshot = replace(before, canary=canary, epoch=before.epoch + 1)
            slot.prepared.pop(version, None)
            slot.concluded = None
        self._metrics.canary_share.labels(model).set(0 if shadow else percent / 100)
        log.info("%s %s gets %g %% of the requests%s", model, version, percent, " in shadow" if shadow else "")
        self._announce()
        return canary

    def promote_canary(self, model: str, version: str, expected_epoch: int = ANY_EPOCH) -> Activated:
        """Serve the candidate to everybody. Raises `UnknownModel` unless this very version is on trial or active."""
        slot = self.slot(model)
        with slot.change:
            canary = slot.snapshot.canary
            active = _version(slot.snapshot.active)
            if active != version and (canary is None or canary.generation.origin.version != version):
                raise UnknownModel(f"{model} {version[:40]} is not on trial on this replica")
            return self.activate(model, version, expected_epoch)

    def abort_canary(self, model: str, version: str, reason: str) -> None:
        """Take a candidate out of the requests at once; nothing happens when it is not on trial."""
        slot = self.slot(model)
        with slot.change:
            before = slot.snapshot
            canary = before.canary
            if canary is None or canary.generation.origin.version != version:
                return
            slot.snapshot = replace(before, canary=None, epoch=before.epoch + 1)
            slot.concluded = Concluded(version, "aborted", reason)
        self._metrics.canary_share.labels(model).set(0)
        self._metrics.swaps.labels(model, "canary_aborted").inc()
        log.warning("%s %s is off: %s", model, version, reason)
        if canary.generation is not before.previous:
            self._disposal.at_once(canary.generation)
        self._announce()

    # State

    def restore(self, champions: Mapping[str, Origin]) -> dict[str, ServingError]:
        """Load what serves, for every model that has nothing yet; for each that could not, the reason.

        `champions` is what the registry names; see `restored`.
        """
        problems = {}
        for model, slot in self._slots.items():
            if slot.snapshot.active is None:
                try:
                    found = restored(model, self._files[model], self._loader, champions.get(model))
                except ServingError as error:
                    problems[model] = error
                    continue
                if found and found.snapshot.active:
                    slot.history, slot.snapshot = found.history, found.snapshot
                    self._serving(model, found.snapshot.active)
        return problems

    def snapshot(self, model: str) -> Snapshot:
        return self.slot(model).snapshot

    def prepared(self, model: str) -> list[str]:
        return sorted(self.slot(model).prepared)

    def history(self, model: str) -> list[Origin]:
        """Newest first."""
        return self.slot(model).history[::-1]

    def slot(self, model: str) -> Slot:
        """Raises `UnknownModel`."""
        if model not in self._slots:
            raise UnknownModel(f"no model {model[:40]!r}, only {', '.join(self._slots)}")
        return self._slots[model]

    def wait_for_change(self, revision: int, seconds: float) -> int:
        """Wait until something changed since `revision`, at most `seconds`; the revision now."""
        with self._changed:
            self._changed.wait_for(lambda: self._revision != revision, timeout=seconds)
            return self._revision

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._slots)

    # Inside

    def _activated(self, slot: Slot, generation: Generation) -> Activated:
        before, model = slot.snapshot, slot.model
        activated = replace(generation.origin, activated_at=time.time())
        after = Snapshot(generation, before.active, epoch=before.epoch + 1)
        history = [*slot.history, activated][-_HISTORY:]
        # Kept first: a replica that dies right after the exchange must come back with what it answered.
        previous = before.active.origin if before.active else None
        self._files[model].write(State(activated, previous, after.epoch, tuple(history)))
        started = time.perf_counter()
        slot.snapshot = after
        seconds = time.perf_counter() - started
        slot.prepared.pop(generation.origin.version, None)
        slot.history = history
        if before.canary:
            slot.concluded = _concluded(before.canary, generation)
            self._metrics.canary_share.labels(model).set(0)
        self._metrics.swap_seconds.labels(model).observe(seconds)
        self._metrics.swaps.labels(model, "activated").inc()
        self._serving(model, generation, before.active)
        gone = [one for one in before.generations if one not in after.generations]
        self._disposal.soon(slot, gone)
        log.info("%s hot-swapped: %s -> %s", model, _version(before.active), generation.origin.version)
        return Activated(generation.origin.version, _version(before.active), after.epoch, seconds * 1000)

    def _serving(self, model: str, active: Generation, before: Generation | None = None) -> None:
        if before is not None:
            self._metrics.active.labels(model, before.origin.version).set(0)
        self._metrics.active.labels(model, active.origin.version).set(1)
        self._on_change(model, True)
        self._announce()

    def _announce(self) -> None:
        with self._changed:
            self._revision += 1
            self._changed.notify_all()

    def _demand_pace(self, slot: Slot, candidate: Generation) -> None:
        """Raises `BadArtifact` for a candidate far slower than the same network was before."""
        active = slot.snapshot.active
        if active is None or not active.cpu_ms or not candidate.cpu_ms or active.backbone != candidate.backbone:
            return
        if candidate.cpu_ms > _SLOWER * max(1.0, active.cpu_ms):
            candidate.engine.close()
            raise BadArtifact(
                f"an image takes {candidate.cpu_ms:.0f} ms of processor time, "
                f"{active.origin.version} took {active.cpu_ms:.0f} ms with the same backbone"
            )


def _concluded(canary: Canary, active: Generation) -> Concluded:
    version = canary.generation.origin.version
    if canary.generation is active:
        return Concluded(version, "promoted", "as asked")
    return Concluded(version, "aborted", f"{active.origin.version} was activated")


def _demand_epoch(before: Snapshot, expected_epoch: int) -> None:
    if expected_epoch not in {ANY_EPOCH, before.epoch}:
        raise StaleEpoch(f"epoch {before.epoch} serves {_version(before.active)}, {expected_epoch} was expected")


def _demand_same(known: Origin, asked: Origin) -> None:
    if known.manifest_sha256 != asked.manifest_sha256:
        raise BadArtifact(f"{known.version} is loaded from another artifact: a version never changes its files")


def _version(generation: Generation | None) -> str | None:
    return generation.origin.version if generation else None

"""ModelLifecycleManager: load, check, swap by one reference, drain, keep the previous warm (specification §3.1)."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from faceserve.canary import Limits, Share, Trial
from faceserve.errors import BadArtifact, BadRequest, ServingError, StaleEpoch, UnknownModel
from faceserve.loading import Generation, Loader, Origin
from faceserve.memory import resident_bytes, return_freed
from faceserve.metrics import Metrics
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
        self._drain_seconds = drain_seconds
        self._calm_seconds = calm_seconds
        self._warm_memory_bytes = warm_memory_bytes
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
            self._free(generation)
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
            threading.Thread(target=self._free, args=(canary.generation,), daemon=True).start()
        self._announce()

    # State

    def restore(self, champions: Mapping[str, Origin]) -> dict[str, ServingError]:
        """Load what serves, for every model that has nothing yet; for each that could not, the reason.

        `champions` is what the registry names. It wins over this replica's own memory when it was promoted later: the
        fleet changed while this replica was away (design D11).
        """
        problems = {}
        for model, slot in self._slots.items():
            if slot.snapshot.active is None:
                try:
                    self._restore(slot, champions.get(model))
                except ServingError as error:
                    problems[model] = error
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

    def _restore(self, slot: Slot, champion: Origin | None) -> None:
        file = self._files[slot.model]
        try:
            state = file.read()
        except BadArtifact as error:
            log.error("%s: %s; it was set aside", slot.model, error)  # noqa: TRY400 - the text says it all
            file.set_aside()
            state = None
        if champion and (state is None or _is_news(champion, state)):
            origins, epoch = (champion, state.active if state else None), state.epoch + 1 if state else 1
        elif state:
            origins, epoch = (state.active, state.previous), state.epoch
        else:
            return
        active = self._loader.load(slot.model, origins[0]).generation
        previous = self._previous(slot.model, origins[1])
        slot.history = [*(state.history if state else ()), *([champion] if champion and origins[0] is champion else ())]
        file.write(State(origins[0], origins[1], epoch, tuple(slot.history)))
        slot.snapshot = Snapshot(active, previous, epoch=epoch)
        self._serving(slot.model, active)

    def _previous(self, model: str, origin: Origin | None) -> Generation | None:
        """Kept warm when it can be loaded; the active version serves all the same."""
        try:
            return self._loader.load(model, origin).generation if origin else None
        except ServingError as error:
            log.warning("%s %s is not kept warm: %s", model, origin.version if origin else "", error)
            return None

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
        threading.Thread(target=self._tidy, args=(slot, gone), daemon=True).start()
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

    def _tidy(self, slot: Slot, gone: list[Generation]) -> None:
        """Free what serves no more, in memory and on disk; away from the requests."""
        # Some time after the exchange, and not on all replicas at once.
        time.sleep(random.uniform(1, 4) * self._calm_seconds)
        for generation in gone:
            self._free(generation)
        self._keep_within_budget(slot)
        slots = self._slots.values()
        in_use = [generation.origin for one in slots for generation in list(one.prepared.values())]
        in_use += [generation.origin for one in slots for generation in one.snapshot.generations]
        self._loader.forget_all_but([*in_use, *(origin for one in slots for origin in one.history)])

    def _keep_within_budget(self, slot: Slot) -> None:
        """Without memory for it, the previous version is loaded again when it is rolled back to."""
        if resident_bytes() <= self._warm_memory_bytes:
            return
        with slot.change:
            previous = slot.snapshot.previous
            if previous is None:
                return
            slot.snapshot = replace(slot.snapshot, previous=None)
        log.warning("%s is not kept warm: the memory budget is used up", previous.origin.version)
        self._free(previous)

    def _free(self, generation: Generation) -> None:
        if not generation.close_when_idle(self._drain_seconds):
            log.warning("%s still had requests after %s s", generation.origin.version, self._drain_seconds)
        return_freed()


def _concluded(canary: Canary, active: Generation) -> Concluded:
    version = canary.generation.origin.version
    if canary.generation is active:
        return Concluded(version, "promoted", "as asked")
    return Concluded(version, "aborted", f"{active.origin.version} was activated")


def _is_news(champion: Origin, state: State) -> bool:
    return champion.version != state.active.version and champion.activated_at > state.active.activated_at


def _demand_epoch(before: Snapshot, expected_epoch: int) -> None:
    if expected_epoch not in {ANY_EPOCH, before.epoch}:
        raise StaleEpoch(f"epoch {before.epoch} serves {_version(before.active)}, {expected_epoch} was expected")


def _demand_same(known: Origin, asked: Origin) -> None:
    if known.manifest_sha256 != asked.manifest_sha256:
        raise BadArtifact(f"{known.version} is loaded from another artifact: a version never changes its files")


def _version(generation: Generation | None) -> str | None:
    return generation.origin.version if generation else None

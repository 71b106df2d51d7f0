"""What a replica has in memory of one model, as a value, with every rule about how that may change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from faceserve.errors import BadArtifact, BadRequest, NoModel, StaleEpoch, UnknownModel
from faceserve.models.generation import Generation, Origin
from faceserve.rollout.canary import Limits, Share, Side, Trial
from faceserve.rollout.ending import Concluded, lost
from faceserve.rollout.history import LENGTH, History
from faceserve.rollout.orders import ANY_EPOCH, REMEMBERED, Done, Order, made_before
from faceserve.rollout.state import State

_ALL_PERCENT = 100
# A retrained network costs as much as the old one; several times as much is a fault, not a choice.
_SLOWER = 4.0


@dataclass(frozen=True)
class Canary:
    """A candidate that answers `share` of the requests; in `shadow` its answers are compared and thrown away.

    This process ended `losses` times while it tried it.
    """

    generation: Generation
    share: Share
    trial: Trial
    shadow: bool = False
    losses: int = 0

    @property
    def version(self) -> str:
        return self.generation.version


@dataclass(frozen=True)
class Lease:
    """What one request works with; `canary` is set while one is on trial, whichever side the request is on.

    `apart`: it is not the version that serves, and must take nothing from it.
    """

    generation: Generation
    epoch: int
    side: Side = "stable"
    canary: Canary | None = None
    mirrored: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Snapshot:
    """A request takes one and keeps it to its end; every change makes a new one.

    A change that was made already returns the same snapshot. `prepared` versions wait in memory and answer nobody;
    `concluded` is how the last trial ended; `epoch` grows with every change of what answers requests; `done` are the
    changes made here that had a name, newest last.
    """

    model: str
    active: Generation | None = None
    previous: Generation | None = None
    canary: Canary | None = None
    prepared: tuple[Generation, ...] = ()
    history: History = History()
    concluded: Concluded | None = None
    epoch: int = 0
    done: tuple[Done, ...] = ()

    # What there is

    @property
    def answering(self) -> list[Generation]:
        """What a request may ask for."""
        canary = self.canary.generation if self.canary else None
        return list(dict.fromkeys(one for one in (self.active, self.previous, canary) if one))

    @property
    def generations(self) -> list[Generation]:
        """Everything in memory, each once."""
        return list(dict.fromkeys((*self.answering, *self.prepared)))

    def loaded(self, version: str) -> Generation | None:
        """A version in memory, whatever it is there for."""
        return _find(self.generations, version)

    def gone(self, after: "Snapshot") -> list[Generation]:
        """Generations that a change leaves without a purpose."""
        return [one for one in self.generations if one not in after.generations]

    def has(self, origin: Origin) -> bool:
        """Whether this very artifact is in memory. Raises `BadArtifact` when the version is, from another artifact."""
        known = self.loaded(origin.version)
        if known and known.origin.manifest_sha256 != origin.manifest_sha256:
            raise BadArtifact(f"{origin.version} is loaded from another artifact: a version never changes its files")
        return known is not None

    @property
    def remembered(self) -> State | None:
        """What a restart needs. A trial does not survive one, so that its end is noted and counted beforehand."""
        if self.active is None:
            return None
        entries = self.history.entries
        previous = self.previous.origin if self.previous else None
        if self.active.version != entries[-1].version:
            # It only stands in: the next start tries the version that should serve first, and then this one again.
            previous = self.active.origin
        tried = self.canary
        concluded = lost(tried.version, tried.losses + 1) if tried else self.concluded
        return State(entries[-1], previous, self.epoch + (tried is not None), entries, self.done, concluded)

    # Requests

    def lease(self, version: str, task_id: str) -> Lease:
        """What answers a request. Raises what `demand` does."""
        named = self.demand(version)
        if version:
            return Lease(named, self.epoch, apart=named is not self.active)
        if self.canary is None:
            return Lease(named, self.epoch)
        chosen = self.canary.share.has(task_id)
        if chosen and not self.canary.shadow:
            return Lease(self.canary.generation, self.epoch, "canary", self.canary, apart=True)
        return Lease(named, self.epoch, "stable", self.canary, mirrored=chosen)

    def demand(self, version: str) -> Generation:
        """What a request asks for, the active version if it names none. Raises `UnknownModel` or `NoModel`."""
        if self.active is None:
            raise NoModel(f"no version of {self.model} serves on this replica yet")
        generation = _find(self.answering, version) if version else self.active
        if generation is None:
            raise UnknownModel(f"{self.model} {version[:40]!r} is not loaded; {self.active.version} is active")
        return generation

    # Changes

    def with_prepared(self, generation: Generation) -> "Snapshot":
        return replace(self, prepared=(*self.prepared, generation))

    def without_prepared(self, version: str) -> "Snapshot":
        """A version that serves, served just before, or is unknown stays as it is."""
        kept = tuple(one for one in self.prepared if one.version != version)
        return self if kept == self.prepared else replace(self, prepared=kept)

    def with_previous(self, generation: Generation) -> "Snapshot":
        return replace(self, previous=generation)

    def without_previous(self) -> "Snapshot":
        return replace(self, previous=None)

    def activated(self, version: str, expected_epoch: int, at: float) -> "Snapshot":
        """From `at` (seconds since 1970) on `version` serves, what served is the previous version, and a trial is over.

        Raises `StaleEpoch` or `UnknownModel`.
        """
        if self._serves(version):
            return self
        self.demand_epoch(expected_epoch)
        generation = self.loaded(version)
        if generation is None:
            raise UnknownModel(f"{self.model} {version[:40]} is not prepared on this replica")
        after = self.without_prepared(version)
        return replace(
            after,
            active=generation,
            previous=self.active,
            canary=None,
            history=self.history.and_now(replace(generation.origin, activated_at=at)),
            concluded=self._concluded_by(version),
            epoch=self.epoch + 1,
        )

    def remembering(self, state: State) -> "Snapshot":
        """After a restart: epochs, history and how the last trial ended go on from `state`, whatever will serve. No
        change if something does.
        """
        if self.active:
            return self
        epoch = max(self.epoch, state.epoch)
        return replace(self, history=History(state.history), epoch=epoch, done=state.done, concluded=state.concluded)

    def did(self, order: Order) -> Done | None:
        """What that very change led to, if it was made here. Raises `NameTaken` if its name is another one's."""
        return made_before(self.done, order)

    def noting(self, order: Order) -> "Snapshot":
        """The change that led to this has a name: whoever asks for it again changes nothing."""
        if not order.request:
            return self
        active, previous = (one.version if one else "" for one in (self.active, self.previous))
        noted = Done(order.request, active, previous, self.epoch, order.asked)
        return replace(self, done=(*self.done, noted)[-REMEMBERED:])

    def restored(self, active: Generation, state: State, *, makeshift: bool = False) -> "Snapshot":
        """After a restart: what `state` names serves, a `makeshift` without a place in the history of its own."""
        after = self if self.active else self.remembering(state)
        history = after.history if makeshift else after.history.and_now(state.active)
        epoch = max(after.epoch + (self.active is not None), state.epoch)
        return replace(after, active=active, previous=self.active, history=history, epoch=epoch)

    def on_trial(self, version: str, percent: float, *, shadow: bool, limits: Limits) -> "Snapshot":
        """`version` gets its share from now on. Raises `BadRequest` or `UnknownModel`."""
        if not 0 < percent <= _ALL_PERCENT:
            raise BadRequest(f"a canary gets more than 0 and at most 100 percent, not {percent:g}")
        running = self.canary
        if running and running.version != version:
            raise BadRequest(f"{running.version} is on trial already: promote or abort it first")
        if running and (running.share.percent, running.shadow) == (percent, shadow):
            return self
        generation = self.loaded(version)
        if self.active is None or generation is None or generation is self.active:
            raise UnknownModel(f"{self.model} {version[:40]} is not prepared beside an active version on this replica")
        # From shadow to live, or to another share, counting begins anew: the figures could not be compared.
        canary = Canary(generation, Share(percent, version), Trial(limits), shadow, self._losses(version))
        after = self.without_prepared(version)
        return replace(after, canary=canary, concluded=None, epoch=self.epoch + 1)

    def promoted(self, version: str, expected_epoch: int, at: float) -> "Snapshot":
        """The candidate serves everybody. Raises `UnknownModel` unless this very version is on trial or active."""
        if not self._serves(version) and not self._tries(version):
            raise UnknownModel(f"{self.model} {version[:40]} is not on trial on this replica")
        return self.activated(version, expected_epoch, at)

    def trial_aborted(self, version: str, reason: str) -> "Snapshot":
        """Without the candidate. No change if another one is on trial, or none."""
        if not self._tries(version):
            return self
        return replace(self, canary=None, concluded=Concluded(version, "aborted", reason), epoch=self.epoch + 1)

    def only_ends_trial(self, before: "Snapshot") -> bool:
        return before.canary is not None and self.canary is None and self.active is before.active

    def rollback_target(self, version: str) -> Origin:
        """What a rollback serves: `version`, or if that is empty what served before the active version.

        After going back, a rollback without a version changes nothing: the same request twice must lead neither
        forward again nor further back. Raises `UnknownModel`.
        """
        if self.active and (self._serves(version) or (not version and self.history.went_back)):
            return self.active.origin
        earlier = self.history.last(version) if version else self._before
        if earlier is None:
            what = f"{version[:40]} among the last {LENGTH} that served" if version else "previous version"
            raise UnknownModel(f"{self.model} has no {what} on this replica")
        return earlier

    @property
    def _before(self) -> Origin | None:
        """What served before the active version, or last if nothing serves; it need not be in memory."""
        if self.active:
            return self.history.before
        return self.history.entries[-1] if self.history.entries else None

    def demand_epoch(self, expected_epoch: int) -> None:
        """Raises `StaleEpoch`."""
        if expected_epoch not in {ANY_EPOCH, self.epoch}:
            serves = self.active.version if self.active else None
            raise StaleEpoch(f"epoch {self.epoch} serves {serves}, {expected_epoch} was expected")

    def demand_pace(self, candidate: Generation) -> None:
        """Raises `BadArtifact` for a candidate far slower than the active version with the same backbone.

        Nothing is said where a pace is not known, or of a version that served here: nobody must fail to go back to it.
        """
        active = self.active
        if active is None or not active.cpu_ms or active.backbone != candidate.backbone:
            return
        if self.history.last(candidate.version):
            return
        if candidate.cpu_ms > _SLOWER * max(1.0, active.cpu_ms):
            raise BadArtifact(
                f"an image takes {candidate.cpu_ms:.0f} ms of processor time, "
                f"{active.version} took {active.cpu_ms:.0f} ms with the same backbone"
            )

    def _serves(self, version: str) -> bool:
        return self.active is not None and self.active.version == version

    def _tries(self, version: str) -> bool:
        return self.canary is not None and self.canary.version == version

    def _losses(self, version: str) -> int:
        """How often this process ended during the running trial, or one that may go on."""
        if self.canary:
            return self.canary.losses
        ended = self.concluded
        return ended.losses if ended and (ended.version, ended.outcome) == (version, "lost") else 0

    def _concluded_by(self, activated: str) -> Concluded | None:
        if self.canary is None:
            return self.concluded
        if self._tries(activated):
            return Concluded(activated, "promoted", "as asked")
        return Concluded(self.canary.version, "replaced", f"{activated} was activated")


def _find(generations: Sequence[Generation], version: str) -> Generation | None:
    return next((one for one in generations if one.version == version), None)

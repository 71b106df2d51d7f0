"""One faceserve process and the state file it comes back with: `faceserve/rollout/lifecycle.py` without engines."""

import hashlib
import json
from dataclasses import dataclass, field, replace

from pipeline.domain.models import Artifact
from pipeline.domain.rollout import CanarySeen
from pipeline.domain.serving import Serving
from tests.fakes.data import FakeObjects

ANY_EPOCH = -1


class Refused(Exception):
    """The status code of the answer; `may_pass` when there was none."""

    def __init__(self, replica: str, code: str, detail: str) -> None:
        super().__init__(f"{replica} {detail} ({code})")
        self.code, self.detail = code, detail

    @property
    def may_pass(self) -> bool:
        return self.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


@dataclass(frozen=True)
class Origin:
    """`activated_at` in seconds since 1970; in the registry, when it was made champion."""

    version: str
    artifact: Artifact
    activated_at: float = 0.0


@dataclass(frozen=True)
class State:
    """What is on its disk. `lost` is a canary that its process ended with, and how often."""

    active: Origin
    previous: Origin | None
    epoch: int
    concluded: CanarySeen | None = None
    lost: tuple[str, int] = ("", 0)


@dataclass
class FakeReplica:
    """`objects` None: every artifact can be loaded. `forgets`: it says yes and goes on as before.

    `due` is what should serve; `active` is another one when that could not be loaded after a restart.
    """

    name: str
    objects: FakeObjects | None = None
    active: Origin | None = None
    due: Origin | None = None
    previous: Origin | None = None
    canary: Origin | None = None
    concluded: CanarySeen | None = None
    lost: tuple[str, int] = ("", 0)
    losses: int = 0
    prepared: dict[str, Origin] = field(default_factory=dict)
    state: State | None = None
    epoch: int = 0
    forgets: bool = False

    # Calls

    def status(self) -> Serving:
        active, previous = (one.version if one else None for one in (self.active, self.previous))
        return Serving(self.name, active, previous, self.epoch)

    def seen(self) -> CanarySeen:
        if self.canary is not None:
            return CanarySeen(self.name, self.canary.version, "inconclusive", "", 0, 0)
        return self.concluded or CanarySeen(self.name, None, "", "", 0, 0)

    def has(self, version: str) -> bool:
        return self._loaded(version) is not None

    def prepare(self, version: str, artifact: Artifact) -> int:
        """The epoch that activating it expects."""
        known = self._loaded(version)
        if known is None:
            self._demand_files(Origin(version, artifact))
            self.prepared[version] = Origin(version, artifact)
        elif known.artifact.manifest_sha256 != artifact.manifest_sha256:
            raise Refused(self.name, "FAILED_PRECONDITION", f"{version} is loaded from another artifact")
        return self.epoch

    def activate(self, version: str, expected_epoch: int, at: float) -> None:
        if self.forgets or (self.active is not None and self.active.version == version):
            return
        if expected_epoch not in {ANY_EPOCH, self.epoch}:
            raise Refused(self.name, "ABORTED", f"epoch {self.epoch}, {expected_epoch} was expected")
        loaded = self._loaded(version)
        if loaded is None:
            raise Refused(self.name, "NOT_FOUND", f"{version} is not prepared")
        if self.canary is not None:
            promoted = self.canary.version == version
            self._conclude(
                "promoted" if promoted else "replaced", "as asked" if promoted else f"{version} was activated"
            )
        self.prepared.pop(version, None)
        self.active, self.previous, self.epoch = replace(loaded, activated_at=at), self.active, self.epoch + 1
        self.due = self.active
        self._remember()

    def discard(self, version: str) -> None:
        self.prepared.pop(version, None)

    def set_canary(self, version: str) -> None:
        if self.canary is not None and self.canary.version != version:
            raise Refused(self.name, "INVALID_ARGUMENT", f"{self.canary.version} is on trial already")
        if self.canary is not None:
            return
        loaded = self._loaded(version)
        if self.active is None or loaded is None or loaded is self.active:
            raise Refused(self.name, "NOT_FOUND", f"{version} is not prepared beside an active version")
        self.losses, self.lost = self.lost[1] if self.lost[0] == version else 0, ("", 0)
        self.canary, self.concluded, self.epoch = loaded, None, self.epoch + 1
        self.prepared.pop(version, None)
        self._remember()

    def abort_canary(self, version: str, reason: str) -> None:
        if self.canary is not None and self.canary.version == version:
            self._conclude("aborted", reason)
            self.epoch += 1
            self._remember()

    def sees_harm(self) -> None:
        """Too many requests failed on the canary: it is thrown out here, and nobody asked for it."""
        if self.canary is not None:
            self.abort_canary(self.canary.version, "3 errors in a row")

    # Its process

    def restart(self, champion: Origin | None) -> None:
        """Its memory is gone: its state file decides, or the registry's `champion` when that was promoted later.

        If that cannot be loaded, what served last or before that serves in its place.
        """
        before, ladder = self.state, self._ladder(champion)
        self.active = self.previous = self.canary = None
        self.concluded, self.lost = (before.concluded, before.lost) if before else (None, ("", 0))
        self.prepared, self.epoch = {}, before.epoch if before else 0
        self.due = before.active if before else None
        for rung, one in enumerate(ladder):
            if not self._has_files(one.active):
                continue
            self.active, self.epoch = one.active, one.epoch
            kept_warm = one.previous is not None and self._has_files(one.previous)
            self.previous = one.previous if kept_warm else None
            if rung == 0:
                self.due = one.active
            if one != before:
                self._remember()
            return

    def _ladder(self, champion: Origin | None) -> list[State]:
        state = self.state
        if state is None:
            return [State(champion, None, 1)] if champion else []
        later = replace(state, epoch=state.epoch + 1)
        news = champion is not None and _is_news(champion, state)
        ladder = [replace(later, active=champion, previous=state.active)] if news else []
        ladder.append(state)
        if state.previous and state.previous.version != ladder[0].active.version:
            ladder.append(replace(later, active=state.previous, previous=None))
        return ladder

    # Inside

    def _remember(self) -> None:
        """A trial does not survive a restart: its end is noted and counted beforehand."""
        assert self.active is not None
        assert self.due is not None
        stands_in = self.active.version != self.due.version
        previous = self.active if stands_in else self.previous
        concluded, lost = self.concluded, self.lost
        if self.canary is not None:
            tried = self.canary.version
            twice = CanarySeen(self.name, tried, "aborted", f"ended twice while it tried {tried}", 0, 0)
            concluded, lost = (twice, ("", 0)) if self.losses else (None, (tried, 1))
        self.state = State(self.due, previous, self.epoch + (self.canary is not None), concluded, lost)

    def _loaded(self, version: str) -> Origin | None:
        loaded = (self.active, self.previous, self.canary, *self.prepared.values())
        return next((one for one in loaded if one and one.version == version), None)

    def _conclude(self, verdict: str, reason: str) -> None:
        assert self.canary is not None
        self.concluded = CanarySeen(self.name, self.canary.version, verdict, reason, 0, 0)
        self.canary = None

    def _demand_files(self, origin: Origin) -> None:
        if not self._has_files(origin):
            raise Refused(
                self.name, "FAILED_PRECONDITION", f"the files of {origin.version} are not what they should be"
            )

    def _has_files(self, origin: Origin) -> bool:
        return self.objects is None or is_whole(self.objects.bodies, origin.artifact.uri, origin.artifact)


def is_whole(bodies: dict[str, bytes], uri: str, artifact: Artifact) -> bool:
    """Whether `bodies` has every file of `artifact` under `uri`, as its manifest says."""
    manifest = bodies.get(f"{uri}manifest.json")
    if manifest is None or hashlib.sha256(manifest).hexdigest() != artifact.manifest_sha256:
        return False
    files = json.loads(manifest).get("files", {})
    return all(hashlib.sha256(bodies.get(uri + path, b"")).hexdigest() == sha256 for path, sha256 in files.items())


def _is_news(champion: Origin, state: State) -> bool:
    return champion.version != state.active.version and champion.activated_at > state.active.activated_at

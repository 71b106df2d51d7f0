"""The replicas together, asked as `pipeline/adapters/serving_fleet.py` asks them, one after the other."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from include.contract.identity import canonical
from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.rollout import CanarySeen, replaced_by, unasked
from pipeline.domain.serving import Serving
from pipeline.ports.deployment import Prepared, Swap
from tests.fakes.data import FakeObjects
from tests.fakes.events import FakeClock
from tests.fakes.replica import ANY_EPOCH, FakeReplica, Origin, Refused

T = TypeVar("T")
Call = Callable[[FakeReplica], T]


@dataclass
class Accident:
    """What befalls the replica that gets the call number `at` (from 1): it hangs or dies, before or after it acted."""

    at: int
    after: bool
    hangs: bool


@dataclass
class FakeFleet:
    """`refuses` names versions that replicas will not load; replicas that are `down` or `hung` do not answer, and one
    that hung may do late what it was asked meanwhile; `stuck` ones answer, but never end to load; those `out` of
    rotation are not asked. `enrolled` are the people of the gallery that all share, None where there is none.
    """

    names: tuple[str, ...] = ("replica-1", "replica-2")
    out: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    hung: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    forgets: set[str] = field(default_factory=set)
    swaps: list[str] = field(default_factory=list)
    objects: FakeObjects | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    accident: Accident | None = None
    replicas: dict[str, FakeReplica] = field(default_factory=dict)
    late: dict[str, list[Call[object]]] = field(default_factory=dict)
    enrolled: set[str] | None = None

    def __post_init__(self) -> None:
        self.replicas = {name: FakeReplica(name, self.objects) for name in self.names}

    def skipped(self) -> Sequence[str]:
        return tuple(sorted(self.out))

    def serving(self, model_type: ModelType) -> Sequence[Serving]:
        _sendable(model_type)
        found = self._everywhere(FakeReplica.status, lingers=False)
        return [Serving(n, None, fault=_why(one)) if isinstance(one, Refused) else one for n, one in found.items()]

    # Two phases

    def prepare(self, model_type: ModelType, version: str, artifact: Artifact) -> Prepared:
        _sendable(model_type, version, artifact.uri, artifact.manifest_sha256)
        first, *others = self._in_rotation or [""]
        prepared = self._on([first] if first else [], self._preparing(version, artifact), lingers=False)
        if not _errors(prepared):
            prepared |= self._on(others, self._preparing(version, artifact), lingers=False)
        if (failed := _errors(prepared)) or not prepared:
            self.discard(model_type, version)
            raise _translated(failed, f"{version} was not activated anywhere")
        return Prepared(version, {n: one for n, one in prepared.items() if isinstance(one, int)}, 0.5)

    def activate(self, model_type: ModelType, prepared: Prepared) -> Swap:
        version, before = prepared.version, self.serving(model_type)

        def activate(replica: FakeReplica) -> None:
            replica.activate(version, prepared.epochs[replica.name], self._now())
            _alone(replica, version)

        activated = self._everywhere(activate)
        if failed := _errors(activated):
            self._restore(version, before)
            raise _translated(failed, f"{version} could not be activated everywhere")
        self.swaps.append(version)
        return Swap(tuple(activated), 0.01, 0.51, {})

    def discard(self, model_type: ModelType, version: str) -> None:
        _sendable(model_type, version)
        self._everywhere(lambda r: r.discard(version))

    def _restore(self, version: str, before: Sequence[Serving]) -> None:
        earlier = {one.replica: one.version for one in before}

        def back(replica: FakeReplica) -> None:
            previous = earlier[replica.name]
            if previous is not None and replica.status().version == version != previous:
                replica.activate(previous, ANY_EPOCH, self._now())

        self._everywhere(back, lingers=False)

    # Each on its own

    def bring_back(self, model_type: ModelType, version: str, artifact: Artifact) -> Swap:
        _sendable(model_type, version, artifact.uri, artifact.manifest_sha256)

        def back(replica: FakeReplica) -> None:
            self._exchange(replica, version, self._preparing(version, artifact)(replica))

        return self._back(version, self._everywhere(back, lingers=False))

    def put_back(self, model_type: ModelType, version: str, replicas: Collection[str]) -> Swap:
        _sendable(model_type, version)
        back: Call[None] = lambda replica: self._exchange(replica, version, replica.status().epoch)  # noqa: E731
        return self._back(version, self._on(self._of(replicas), back, lingers=False))

    def _exchange(self, replica: FakeReplica, version: str, epoch: int) -> None:
        replica.activate(version, epoch, self._now())
        _alone(replica, version)
        if (serves := replica.status().version) != version:
            raise Refused(replica.name, "ABORTED", f"serves {serves} after {version} was activated")

    def _back(self, version: str, found: Mapping[str, None | Refused]) -> Swap:
        failed = _errors(found)
        if len(failed) == len(found):
            raise _translated(failed, f"no replica could be brought back to {version}")
        self.swaps.append(version)
        missing = {name: _why(one) for name, one in found.items() if isinstance(one, Refused)}
        return Swap(tuple(name for name in found if name not in missing), 0.01, 0.5, missing)

    def warm(
        self, model_type: ModelType, version: str, artifact: Artifact, replicas: Collection[str]
    ) -> Collection[str]:
        _sendable(model_type, version, artifact.uri, artifact.manifest_sha256)
        found = self._on(self._of(replicas), self._preparing(version, artifact), lingers=False)
        return [name for name, one in found.items() if not isinstance(one, Refused)]

    # Canary

    def give_canary(
        self, model_type: ModelType, version: str, percent: float, replicas: Collection[str] | None = None
    ) -> None:
        _sendable(model_type, version, f"{percent:g}")
        if failed := _errors(self._on(self._of(replicas), lambda r: r.set_canary(version), lingers=True)):
            raise _translated(failed, f"not every replica could try {version}")

    def canaries(self, model_type: ModelType) -> Sequence[CanarySeen]:
        _sendable(model_type)
        found = self._everywhere(FakeReplica.seen, lingers=False)
        return [unasked(n, _why(one)) if isinstance(one, Refused) else one for n, one in found.items()]

    def withdraw(self, model_type: ModelType, identity: str) -> None:
        _sendable(model_type, identity)
        failed: list[Refused] = []
        for name in self._in_rotation:
            answer = self._on([name], lambda replica: self._without(replica, identity), lingers=True)[name]
            if not isinstance(answer, Refused):
                return
            failed.append(answer)
        raise _translated(failed, "the person may still be recognised")

    def _without(self, replica: FakeReplica, identity: str) -> None:
        if self.enrolled is None:
            raise Refused(replica.name, "INVALID_ARGUMENT", "this server has no gallery: set FACESERVE_GALLERY_URI")
        self.enrolled -= {one for one in self.enrolled if canonical(one) == canonical(identity)}

    def abort_canary(self, model_type: ModelType, version: str, reason: str) -> None:
        _sendable(model_type, version, reason)
        if failed := _errors(self._everywhere(lambda r: r.abort_canary(version, reason))):
            raise _translated(failed, f"{version} may still be on trial there")

    # What happens to replicas

    def restart(self, name: str, champion: Origin | None = None) -> None:
        """It is back with what it remembers, or what the registry calls `champion`."""
        self.down.discard(name)
        self.hung.discard(name)
        self.late.pop(name, None)
        self.replicas[name].restart(champion)

    def wake(self, name: str, *, late: bool) -> None:
        """It answers again; `late`: first it does what callers gave up waiting for."""
        self.hung.discard(name)
        for call in self.late.pop(name, []) if late else []:
            self._answer(self.replicas[name], call)

    # Inside

    @property
    def _in_rotation(self) -> list[str]:
        return [name for name in self.names if name not in self.out]

    def _of(self, replicas: Collection[str] | None) -> list[str]:
        return [name for name in self._in_rotation if replicas is None or name in replicas]

    def _now(self) -> float:
        return self.clock.now().timestamp()

    def _preparing(self, version: str, artifact: Artifact) -> Call[int]:
        def prepare(replica: FakeReplica) -> int:
            if version in self.refuses:
                raise Refused(replica.name, "FAILED_PRECONDITION", f"refused {version}: golden predictions differ")
            if replica.name in self.stuck and not replica.has(version):
                raise Refused(replica.name, "DEADLINE_EXCEEDED", "does not answer")
            return replica.prepare(version, artifact)

        return prepare

    def _everywhere(self, call: Call[T], *, lingers: bool = True) -> dict[str, T | Refused]:
        return self._on(self._in_rotation, call, lingers=lingers)

    def _on(self, names: Sequence[str], call: Call[T], *, lingers: bool) -> dict[str, T | Refused]:
        """`lingers`: a replica that hangs has the call in its queue; others begin with a question, or undo themselves
        when nobody waits for them any more.
        """
        return {name: self._asked(self.replicas[name], call, lingers) for name in names}

    def _asked(self, replica: FakeReplica, call: Call[T], lingers: bool) -> T | Refused:
        if (accident := self._struck()) is not None and not accident.after:
            self._befall(replica, accident)
        if replica.name in self.hung:
            if lingers:
                self.late.setdefault(replica.name, []).append(call)
            return Refused(replica.name, "DEADLINE_EXCEEDED", "does not answer")
        if replica.name in self.down:
            return Refused(replica.name, "UNAVAILABLE", "connection refused")
        answer = self._answer(replica, call)
        if accident is not None and accident.after:
            self._befall(replica, accident)
            return Refused(replica.name, "UNAVAILABLE", "the connection broke")
        return answer

    def _answer(self, replica: FakeReplica, call: Call[T]) -> T | Refused:
        replica.forgets = replica.name in self.forgets
        try:
            return call(replica)
        except Refused as error:
            return error

    def _struck(self) -> Accident | None:
        if self.accident is None:
            return None
        self.accident.at -= 1
        if self.accident.at:
            return None
        struck, self.accident = self.accident, None
        return struck

    def _befall(self, replica: FakeReplica, accident: Accident) -> None:
        (self.hung if accident.hangs else self.down).add(replica.name)


def _sendable(*fields: object) -> None:
    """A message of protobuf takes text where text is declared."""
    for value in fields:
        if not isinstance(value, str):
            raise TypeError(f"{value!r} has type {type(value).__name__}, but text was expected")


def _alone(replica: FakeReplica, version: str) -> None:
    if replica.canary is not None:
        replica.abort_canary(replica.canary.version, replaced_by(version))


def _why(error: Refused) -> str:
    return f"does not answer ({error.code})" if error.may_pass else f"refuses ({error.code}: {error.detail})"


def _errors(results: Mapping[str, T | Refused]) -> list[Refused]:
    return [one for one in results.values() if isinstance(one, Refused)]


def _translated(errors: Sequence[Refused], consequence: str) -> Exception:
    if not errors:
        return ServiceUnavailable("faceserve", f"no replica is in rotation ({consequence})")
    text = f"{'; '.join(str(error) for error in errors)} ({consequence})"
    if all(error.may_pass or error.code == "ABORTED" for error in errors):
        return ServiceUnavailable("faceserve", text)
    return ModelRefused(text)

"""Versions, their history, the registry and the fleet of replicas."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pipeline.domain.events import OutgoingEvent
from pipeline.domain.models import Artifact, FailedChange, ModelType, ModelVersion, Transition
from pipeline.domain.rollout import CanarySeen


class ModelVersions(Protocol):
    """Rows of `model_versions`."""

    def register(self, version: ModelVersion) -> ModelVersion:
        """Insert; a run that registered before gets its existing row."""

    def get(self, model_type: ModelType, version: str) -> ModelVersion:
        """Raises `UnknownVersion`."""

    def of_run(self, run_id: str) -> ModelVersion | None: ...

    def all(self, model_type: ModelType) -> Sequence[ModelVersion]:
        """Newest first."""


class Transitions(Protocol):
    """Append-only truth about which version serves (design D13)."""

    def served(self, model_type: ModelType) -> Sequence[Transition]:
        """Transitions confirmed served, oldest first."""

    def facts(self, model_type: ModelType) -> Sequence[Transition]:
        """Confirmed transitions and the notes between them, in the order they came true."""

    def latest_failure(self, model_type: ModelType) -> FailedChange | None:
        """The latest attempt to change the champion, if it failed and none has succeeded since."""

    def note(self, note: Transition, event: OutgoingEvent | None = None) -> None:
        """Append a note, project its status and add `event` to the outbox; the same id again changes nothing."""

    def request(self, transition: Transition) -> None:
        """Append the intent. Raises `StaleTransition` unless `expected_current` is the champion, and `PromotionFrozen`
        for anything but a rollback while promotions are frozen.
        """

    def confirm(self, transition: Transition, event: OutgoingEvent) -> None:
        """Append the confirmation, project `model_versions.status` and add `event` to the outbox, in one transaction.

        Raises `StaleTransition` when another transition was confirmed since; the same one again changes nothing.
        """

    def fail(self, transition: Transition, reason: str) -> None:
        """Append that the intent came to nothing."""

    def project(self, model_type: ModelType) -> Sequence[str]:
        """Make `model_versions` say what the log says; the versions whose row was wrong."""

    def exclusive(self, model_type: ModelType) -> AbstractContextManager[None]:
        """One deployment or rollback of a model type at a time; waits for the other."""


class ModelRegistry(Protocol):
    """The registry people look at; a projection, never the truth."""

    def register(
        self, version: ModelVersion, experiment_run_id: str | None, tags: Mapping[str, str] | None = None
    ) -> None:
        """Create the model version with `tags` and the alias `candidate`; again changes tags alone."""

    def missing(self, versions: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
        """Those the registry does not know, whoever removed them."""

    def mirror(self, model_type: ModelType, *, champion: str, previous: str | None) -> None:
        """Make the aliases `champion` and `previous` say what the transition log says; neither is a candidate."""


@dataclass(frozen=True)
class Serving:
    """What one replica says it serves."""

    replica: str
    version: str | None
    previous: str | None
    epoch: int


@dataclass(frozen=True)
class Swap:
    """Outcome of a fleet-wide change; `swap_milliseconds_max` is the slowest replica's reference exchange."""

    replicas: tuple[Serving, ...]
    swap_milliseconds_max: float
    prepare_seconds: float
    activate_seconds: float


class ServingFleet(Protocol):
    """Every replica of the model server."""

    def swap(self, model_type: ModelType, version: str, artifact: Artifact) -> Swap:
        """Two phases: prepare on all, then activate on all (design D6).

        Raises `ModelRefused` or `ServiceUnavailable`; nobody switches unless everybody prepared, and a replica that
        fails to activate sends the others back to what they served.
        """

    def serving(self, model_type: ModelType) -> Sequence[Serving]: ...

    def start_canary(self, model_type: ModelType, version: str, artifact: Artifact, percent: float) -> None:
        """Prepare on all, then give `version` its share on all; a replica that was away meanwhile gets it again.

        Raises `ModelRefused` or `ServiceUnavailable` with no canary anywhere.
        """

    def canaries(self, model_type: ModelType) -> Sequence[CanarySeen]:
        """What each replica says of the canary running, or of how the last one ended."""

    def abort_canary(self, model_type: ModelType, version: str, reason: str) -> None:
        """Take `version` out of the requests everywhere; a replica where it is not on trial is left alone.

        Raises `ServiceUnavailable` when a replica could not be asked; the others have stopped.
        """

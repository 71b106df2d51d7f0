"""Versions, their history, the registry and the fleet of replicas."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.ledger import Ledger
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.rollout import CanarySeen
from pipeline.domain.serving import Serving
from pipeline.domain.transitions import Entry


class ModelVersions(Protocol):
    """Rows of `model_versions`."""

    def register(self, version: ModelVersion) -> ModelVersion:
        """Insert; a run that registered before gets its existing row."""

    def get(self, model_type: ModelType, version: str) -> ModelVersion:
        """Raises `UnknownVersion`."""

    def of_run(self, run_id: str) -> ModelVersion | None: ...

    def all(self, model_type: ModelType) -> Sequence[ModelVersion]:
        """Newest first."""

    def learned_until(self, model_type: ModelType, version: str) -> datetime | None:
        """The time of the last correction in its dataset; None where that is not known."""


class Transitions(Protocol):
    """The append-only log of what happened to the models, one ledger a model type (ADR 0004, 0016)."""

    def ledger(self, model_type: ModelType) -> Ledger: ...

    def append(self, ledger: Ledger, *entries: Entry, events: Sequence[OutgoingEvent] = ()) -> Ledger:
        """`ledger` followed by `entries`, with `events` in the outbox, `model_versions` as the log now says, and the
        override of what was forced and serves beside its verdict, in one transaction.

        Raises `StaleTransition` when somebody appended since `ledger` was read.
        """

    def project(self, model_type: ModelType) -> Sequence[str]:
        """Make `model_versions` say what the log says; returns the versions whose row was wrong."""

    def exclusive(self, model_type: ModelType) -> AbstractContextManager[None]:
        """One change of what serves at a time; waits for the other. A promotion loads its model before it waits."""

    def moving_files(self, model_type: ModelType) -> AbstractContextManager[None]:
        """One at a time removes files that were archived or refused, begins to bring some back, or forces live what
        may have been refused. A rollback never takes it.
        """

    def preparing(self, model_type: ModelType) -> AbstractContextManager[None]:
        """One deployment at a time, from its intent to its end; waits for the other. A rollback never takes it."""


class ModelRegistry(Protocol):
    """The registry people look at; a projection, never the truth."""

    def register(
        self, version: ModelVersion, experiment_run_id: str | None, tags: Mapping[str, str] | None = None
    ) -> None:
        """Create the model version with `tags` and the alias `candidate`; again changes tags alone."""

    def missing(self, versions: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
        """The versions that the registry does not know, whoever removed them."""

    def mirror(self, model_type: ModelType, *, champion: str, previous: str | None, since: datetime) -> None:
        """Make the aliases `champion` and `previous` say what the transition log says; neither is a candidate.

        A replica that was away compares `since`, when the champion began to serve, with its own memory.
        """


@dataclass(frozen=True)
class Prepared:
    """A version that every replica in rotation has loaded, warmed up and checked: replicas with their epochs."""

    version: str
    epochs: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class Swap:
    """Outcome of a change on the fleet: the slowest replica's reference exchange, and how long the change took.

    `missing` are replicas that did not change, with the reason.
    """

    replicas: tuple[str, ...]
    swap_milliseconds_max: float
    seconds: float
    missing: Mapping[str, str]


class ServingFleet(Protocol):
    """Every replica of the model server that is in rotation."""

    def skipped(self) -> Sequence[str]:
        """Replicas that a person took out of rotation."""

    def serving(self, model_type: ModelType) -> Sequence[Serving]:
        """Every replica, those that do not answer with their fault. Never raises."""

    def prepare(self, model_type: ModelType, version: str, artifact: Artifact) -> Prepared:
        """Phase one, on every replica; what serves does not change (design D6).

        Raises `ModelRefused` or `ServiceUnavailable` when one cannot, and none keeps the prepared model.
        """

    def activate(self, model_type: ModelType, prepared: Prepared) -> Swap:
        """Phase two, on every replica that prepared; nothing is missing from it.

        When one fails the others go back to what they served, as far as they answer, and it raises `ModelRefused` or
        `ServiceUnavailable`: what serves then has to be asked.
        """

    def bring_back(self, model_type: ModelType, version: str, artifact: Artifact) -> Swap:
        """Serve `version` on every replica, each on its own and all at once, loaded where it has to be: one that is
        dead, hung, slow or refuses keeps no other from it, and is missing. Raises when not one could change.

        For an emergency alone, which may load while others wait for it.
        """

    def warm(
        self, model_type: ModelType, version: str, artifact: Artifact, replicas: Collection[str]
    ) -> Collection[str]:
        """Load `version` on `replicas` beside what serves; returns those that have it now. Never raises."""

    def put_back(self, model_type: ModelType, version: str, replicas: Collection[str]) -> Swap:
        """As `bring_back`, on `replicas` that were warmed: nothing is loaded, so it takes no longer than an exchange
        does. A replica that has lost it meanwhile is missing.
        """

    def discard(self, model_type: ModelType, version: str) -> None:
        """Drop what was prepared, where it answers; what serves stays."""

    def give_canary(
        self, model_type: ModelType, version: str, percent: float, replicas: Collection[str] | None = None
    ) -> None:
        """Give a prepared `version` its share on every replica (or on `replicas`); one that has it already goes on.

        Raises `ModelRefused` or `ServiceUnavailable` when one could not; the others may have it then.
        """

    def canaries(self, model_type: ModelType) -> Sequence[CanarySeen]:
        """What every replica says of the canary running, or of how the last one ended; those that do not answer with
        their fault. Never raises.
        """

    def withdraw(self, model_type: ModelType, identity: str) -> None:
        """Once this returns, no replica takes anybody for this person any more; somebody who is not enrolled is left
        alone.

        Raises `ModelRefused` where replicas have no gallery or do not know such a name, and `ServiceUnavailable` when
        not one answers.
        """

    def abort_canary(self, model_type: ModelType, version: str, reason: str) -> None:
        """Take `version` out of the requests everywhere; a replica where it is not on trial is left alone.

        Raises `ServiceUnavailable` when a replica could not be asked; the others have stopped.
        """

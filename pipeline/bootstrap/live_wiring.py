"""Bundles, policies and adapters of everything from a registered version on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property

from pipeline.bootstrap.kinds.kind import ModelKind
from pipeline.bootstrap.model_wiring import ModelWiring
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.faces.watching import FaceWatchPolicy
from pipeline.domain.retention import RetentionPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.ports.bundles import (
    Deployment,
    Keeping,
    Monitoring,
    Overseeing,
    Proving,
    Pruning,
    Recognition,
    Registration,
)
from pipeline.ports.face_watching import FaceLooks, FaceMonitoring
from pipeline.ports.live import ArchiveStore, LiveReadings

log = logging.getLogger(__name__)

# How long the question whether a canary may be promoted waits for an answer (plugins/model_rollout/approval.py).
_APPROVAL_HOURS = 24.0
# A page waits for seconds at most, and must not keep the database from its work.
_PATIENCE_OF_PEOPLE_MS = 2_000


@cache
def _say_that_lookers_may_write() -> None:
    """Once: pages look every few seconds."""
    log.warning("RETRAIN_MLOPS_VIEWER_DSN is not set: page Models looks with the role that writes, and writes nothing")


class LiveWiring:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @property
    def deployment(self) -> Deployment:
        w = self._w
        return Deployment(w.versions, w.blessings, w.transitions, w.fleet, w.registry, w.outbox, w.clock)

    @property
    def registration(self) -> Registration:
        return ModelWiring(self._w).registration

    @property
    def proving(self) -> Proving:
        return Proving(ModelWiring(self._w).records, self._w.blessings, self._w.objects)

    def monitoring(self, kind: ModelKind) -> Monitoring:
        w, trial_hours = self._w, self._w.settings.canary.deadline_hours + _APPROVAL_HOURS
        return Monitoring(w.transitions, kind.metrics, self._readings, w.outbox, w.clock, trial_hours)

    @property
    def face_monitoring(self) -> FaceMonitoring:
        w, trial_hours = self._w, self._w.settings.canary.deadline_hours + _APPROVAL_HOURS
        ports = (w.transitions, w.face_confirmations, self._face_looks, self._readings, w.outbox, w.clock)
        return FaceMonitoring(*ports, trial_hours)

    @property
    def face_watch(self) -> FaceWatchPolicy:
        return self._w.settings.face_watch

    @property
    def recognition(self) -> Recognition:
        from pipeline.adapters.evidence_table import EvidenceTable
        from pipeline.learning.photos import PillowPhotoInspector

        return Recognition(EvidenceTable(self._w.database), self._w.photos, PillowPhotoInspector())

    @property
    def keeping(self) -> Keeping:
        from pipeline.learning.signing import signer

        w, key = self._w, self._w.settings.signing_key
        ports = (w.versions, w.transitions, w.fleet, w.retraining_runs, w.objects, self._archive, w.clock)
        return Keeping(*ports, sign=signer(key) if key else None)

    @property
    def pruning(self) -> Pruning:
        w = self._w
        return Pruning(
            datasets=w.datasets,
            erasures=w.erasures,
            training_runs=w.training_runs,
            runs=w.retraining_runs,
            versions=w.versions,
            blessings=w.blessings,
            transitions=w.transitions,
            readings=self._readings,
            decisions=w.decisions,
            face_looks=self._face_looks,
            outbox=w.outbox,
            experiments=w.experiments,
            objects=w.objects,
            clock=w.clock,
            dataset_prefix=w.dataset_prefix,
            model_prefix=w.model_prefix,
        )

    @property
    def canary_policy(self) -> CanaryPolicy:
        s = self._w.settings
        return replace(s.canary, floor=s.live.rollback_accuracy)

    def retention_policy(self, keep: int | None) -> RetentionPolicy:
        return self._w.settings.retention if keep is None else RetentionPolicy(keep)

    @contextmanager
    def one_moment(self) -> Iterator[Overseeing]:
        """Raises `ServiceUnavailable`."""
        from pipeline.adapters.confirmation_table import ConfirmationTable
        from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
        from pipeline.adapters.face_reading_table import FaceReadingTable
        from pipeline.adapters.live_metrics import LiveMetricsView
        from pipeline.adapters.mlops_db import OneMoment
        from pipeline.adapters.retraining_run_table import RetrainingRunTable
        from pipeline.adapters.sighting_table import SightingTable
        from pipeline.adapters.transition_log import TransitionLog
        from pipeline.adapters.trouble_table import TroubleTable

        w, database = self._w, OneMoment(self._dsn_of_people, statement_timeout_ms=_PATIENCE_OF_PEOPLE_MS)
        with database.held():
            yield Overseeing(
                TransitionLog(database),
                ConfirmationTable(database),
                RetrainingRunTable(database),
                TroubleTable(database),
                SightingTable(database),
                LiveMetricsView(database),
                FaceReadingTable(database),
                FaceConfirmationTable(database),
                w.fleet,
                w.clock,
            )

    @cached_property
    def _dsn_of_people(self) -> str:
        s = self._w.settings
        if viewer := s.mlops_viewer_dsn.get_secret_value():
            return viewer
        _say_that_lookers_may_write()
        return s.mlops_dsn.get_secret_value()

    @cached_property
    def _readings(self) -> LiveReadings:
        from pipeline.adapters.reading_table import ReadingTable

        return ReadingTable(self._w.database)

    @cached_property
    def _face_looks(self) -> FaceLooks:
        from pipeline.adapters.face_reading_table import FaceReadingTable

        return FaceReadingTable(self._w.database)

    @cached_property
    def _archive(self) -> ArchiveStore:
        from pipeline.adapters.glacier import GlacierArchive

        return GlacierArchive(endpoint=self._w.settings.s3_endpoint, keys=self._w.s3_keys)

"""Adapters built from settings, each on first use; heavy libraries are imported only by the step that needs them."""

from functools import cached_property
from typing import TYPE_CHECKING

from pipeline.domain.dataset_folder import erasures
from pipeline.ports.clock import Clock
from pipeline.ports.data import Datasets, Erasures, ObjectFolders, PhotoStore, Withholdings
from pipeline.ports.deployment import ModelRegistry, ModelVersions, ServingFleet, Transitions
from pipeline.ports.events import (
    Confirmations,
    DeadLetters,
    Decisions,
    EventPublisher,
    EventQueue,
    FaceConfirmations,
    Outbox,
    RetrainingRuns,
)
from pipeline.ports.faces import FaceChecks
from pipeline.ports.live import LiveMetrics
from pipeline.ports.training import Experiments, TrainingRuns
from pipeline.ports.troubles import Troubles
from pipeline.ports.verification import Blessings, ReportPrinter
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.adapters.erasure_journal import ErasureJournal
    from pipeline.adapters.mlops_db import MlopsDatabase
    from pipeline.adapters.run_traces import RunTraces
    from pipeline.adapters.s3 import Keys


class Wiring:
    """One property per adapter; making one opens no connection."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def dataset_prefix(self) -> str:
        return f"s3://{self.settings.dataset_bucket}/"

    @property
    def model_prefix(self) -> str:
        return f"s3://{self.settings.model_bucket}/"

    @property
    def code_tags(self) -> dict[str, str]:
        """Which code made a model."""
        from pipeline.adapters.code_version import code_version, git_commit

        return {"git_commit": self.settings.git_commit or git_commit(), "code_version": code_version()}

    # Time

    @cached_property
    def clock(self) -> Clock:
        from pipeline.adapters.clock import SystemClock

        return SystemClock()

    # Traces

    @cached_property
    def traces(self) -> "RunTraces":
        from pipeline.adapters.run_traces import RunTraces

        return RunTraces(self.database)

    # Broker

    @cached_property
    def event_queue(self) -> EventQueue:
        from pipeline.adapters.rabbitmq import RabbitEventQueue

        s = self.settings
        url, traces = s.amqp_url.get_secret_value(), self.traces.spans
        return RabbitEventQueue(url, exchange=s.task_exchange, queue=s.task_queue, traces=traces)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        from pipeline.adapters.dead_letters import RabbitDeadLetters

        s = self.settings
        return RabbitDeadLetters(s.amqp_url.get_secret_value(), exchange=s.task_exchange, queue=s.task_queue)

    @cached_property
    def event_publisher(self) -> EventPublisher:
        from pipeline.adapters.rabbitmq import RabbitEventPublisher

        return RabbitEventPublisher(self.settings.amqp_url.get_secret_value(), exchange=self.settings.model_exchange)

    # Databases

    @cached_property
    def database(self) -> "MlopsDatabase":
        from pipeline.adapters.mlops_db import MlopsDatabase

        return MlopsDatabase(self.settings.mlops_dsn.get_secret_value())

    @cached_property
    def confirmations(self) -> Confirmations:
        from pipeline.adapters.confirmation_table import ConfirmationTable

        return ConfirmationTable(self.database)

    @cached_property
    def metrics(self) -> LiveMetrics:
        from pipeline.adapters.live_metrics import LiveMetricsView

        return LiveMetricsView(self.database)

    @cached_property
    def face_confirmations(self) -> FaceConfirmations:
        from pipeline.adapters.face_confirmation_table import FaceConfirmationTable

        return FaceConfirmationTable(self.database)

    @cached_property
    def face_checks(self) -> FaceChecks:
        from pipeline.adapters.access_db import AccessDatabase

        return AccessDatabase(self.settings.access_dsn.get_secret_value())

    @cached_property
    def retraining_runs(self) -> RetrainingRuns:
        from pipeline.adapters.retraining_run_table import RetrainingRunTable

        return RetrainingRunTable(self.database)

    @cached_property
    def training_runs(self) -> TrainingRuns:
        from pipeline.adapters.training_table import TrainingTable

        return TrainingTable(self.database)

    @cached_property
    def blessings(self) -> Blessings:
        from pipeline.adapters.blessing_table import BlessingTable

        return BlessingTable(self.database)

    @cached_property
    def datasets(self) -> Datasets:
        from pipeline.adapters.dataset_table import DatasetTable

        return DatasetTable(self.database)

    @cached_property
    def erasures(self) -> Erasures:
        from pipeline.adapters.erasure_journal import JournaledErasures
        from pipeline.adapters.erasure_table import ErasureTable

        return JournaledErasures(ErasureTable(self.database), self.erasure_journal)

    @cached_property
    def erasure_journal(self) -> "ErasureJournal":
        from pipeline.adapters.erasure_journal import ErasureJournal

        return ErasureJournal(self.objects, erasures(self.dataset_prefix))

    @cached_property
    def withholdings(self) -> Withholdings:
        from pipeline.adapters.withholding_table import WithholdingTable

        return WithholdingTable(self.database)

    @cached_property
    def versions(self) -> ModelVersions:
        from pipeline.adapters.version_table import VersionTable

        return VersionTable(self.database)

    @cached_property
    def transitions(self) -> Transitions:
        from pipeline.adapters.transition_log import TransitionLog

        return TransitionLog(self.database)

    @cached_property
    def outbox(self) -> Outbox:
        from pipeline.adapters.outbox_table import OutboxTable

        return OutboxTable(self.database)

    @cached_property
    def troubles(self) -> Troubles:
        from pipeline.adapters.trouble_table import TroubleTable

        return TroubleTable(self.database)

    # Objects

    @property
    def s3_keys(self) -> "Keys":
        from pipeline.adapters.s3 import Keys

        s = self.settings
        secret, token = s.s3_secret_access_key.get_secret_value(), s.s3_session_token.get_secret_value()
        return Keys(s.s3_access_key_id, secret, token, s.s3_region)

    @cached_property
    def objects(self) -> ObjectFolders:
        from pipeline.adapters.s3 import S3ObjectStore

        return S3ObjectStore(endpoint=self.settings.s3_endpoint, keys=self.s3_keys)

    @cached_property
    def photos(self) -> PhotoStore:
        from pipeline.adapters.s3 import S3PhotoStore

        # Of our own buckets it needs the one with copies of the first model's photos.
        buckets = frozenset({*self.settings.photo_buckets, self.settings.dataset_bucket})
        return S3PhotoStore(endpoint=self.settings.s3_endpoint, buckets=buckets, keys=self.s3_keys)

    def photos_of(self, place: str) -> PhotoStore:
        """Photos of the one bucket that a person named: `place` is an `s3://…` prefix."""
        from pipeline.adapters.s3 import S3PhotoStore, split

        buckets = frozenset({split(place)[0]})
        return S3PhotoStore(endpoint=self.settings.s3_endpoint, buckets=buckets, keys=self.s3_keys)

    @cached_property
    def printer(self) -> ReportPrinter:
        from pipeline.adapters.verification_report import HtmlReportPrinter

        return HtmlReportPrinter()

    @cached_property
    def decisions(self) -> Decisions:
        from pipeline.adapters.decision_table import DecisionTable

        return DecisionTable(self.database)

    # Registry and serving

    @cached_property
    def experiments(self) -> Experiments:
        from pipeline.adapters.mlflow_registry import MlflowExperiments

        return MlflowExperiments(self.settings.mlflow_url, self.settings.mlflow_link_url)

    @cached_property
    def registry(self) -> ModelRegistry:
        from pipeline.adapters.mlflow_registry import MlflowModelRegistry

        return MlflowModelRegistry(self.settings.mlflow_url)

    @cached_property
    def fleet(self) -> ServingFleet:
        from pipeline.adapters.serving_fleet import GrpcServingFleet, Replicas, client_tls

        s = self.settings
        return GrpcServingFleet(
            Replicas(
                s.faceserve_replicas,
                token=s.faceserve_token.get_secret_value(),
                prepare_timeout_seconds=s.prepare_timeout_seconds,
                activate_timeout_seconds=s.activate_timeout_seconds,
                straggler_seconds=s.rollback_straggler_seconds,
                out_of_rotation=s.faceserve_out_of_rotation,
                tls=client_tls(s.faceserve_tls_ca, s.faceserve_tls_certificate, s.faceserve_tls_key),
            ),
            self.traces.spans,
        )

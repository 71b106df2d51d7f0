"""Every setting of the retraining application: environment variables with the prefix `RETRAIN_`.

What is not set there may be somewhere else, `elsewhere`: in Airflow its connections and one of its variables.

A policy's settings, their defaults, bounds and meanings stand in the policy; `python -m pipeline settings` lists all.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from include.contract.work_queues import SLICES_AT_ONCE
from pipeline.domain.backups import BackupPolicy
from pipeline.domain.blessing import WhenInconclusive
from pipeline.domain.bounds import Address, Cron, PositiveSeconds, Range
from pipeline.domain.checks import LoadTest
from pipeline.domain.dataset import Augmentation
from pipeline.domain.exporter import ExporterPolicy
from pipeline.domain.faces.gate import FaceGatePolicy
from pipeline.domain.faces.identities import FaceSelectionPolicy
from pipeline.domain.faces.retraining import FaceRetrainingPolicy
from pipeline.domain.faces.watching import FaceWatchPolicy
from pipeline.domain.intake import IntakePolicy
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.pruning import PruningPolicy
from pipeline.domain.quality import QualityPolicy
from pipeline.domain.retention import RetentionPolicy
from pipeline.domain.retraining import RetrainingPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.domain.selection import SelectionPolicy
from pipeline.domain.staleness import StalenessPolicy
from pipeline.domain.training import Hyperparameters
from pipeline.domain.training_pod import MAX_GPUS, TrainingPod
from pipeline.domain.verification import VerificationPolicy
from pipeline.settings.elsewhere import NOWHERE, Elsewhere
from pipeline.settings.refusals import SettingsRefused, of_bounds, of_rotation, of_types
from pipeline.settings.variables import Environment, Named, tree

_AMQP = Address(("amqp", "amqps"), "an address such as amqp://user:password@host:5672/%2F")
# A socket has no host, and PostgreSQL's own form has no scheme.
_POSTGRES = Address(
    ("postgresql", "postgres"), "an address such as postgresql://user@host:5432/name", r"postgres(ql)?:///\S*|\w+=.*"
)
_POSTGRES_OR_NONE = Address(_POSTGRES.schemes, _POSTGRES.words, rf"({_POSTGRES.also})?")
_HTTP = Address(("http", "https"), "an address such as http://host:9000")


class Settings(BaseSettings):
    """Read by `bootstrap` alone. Raises `SettingsRefused`, which names each variable that is wrong."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    amqp_url: Annotated[SecretStr, _AMQP] = SecretStr("amqp://guest:guest@127.0.0.1:5672/%2F")
    """RabbitMQ, as `amqp://user:password@host:port/vhost`."""
    task_exchange: str = "task.events"
    """Exchange the Helper service publishes `TaskConfirmedEvent` to (topic)."""
    task_queue: str = "mlops.task-confirmed"
    """Quorum queue this application drains; its dead letters go to `<task_queue>.dead`."""
    model_exchange: str = "model.events"
    """Exchange for model events (topic; routing key = event type)."""
    mlops_dsn: Annotated[SecretStr, _POSTGRES] = SecretStr("postgresql://mlops@127.0.0.1:5432/mlops")
    """This application's own database."""
    mlops_viewer_dsn: Annotated[SecretStr, _POSTGRES_OR_NONE] = SecretStr("")
    """The same with a role that only reads, for page *Models* in Airflow; empty: the one above, which may write."""
    helper_dsn: Annotated[SecretStr, _POSTGRES] = SecretStr("postgresql://mlops_reader@127.0.0.1:5432/helper")
    """The Helper database, with the read-only role."""
    access_dsn: Annotated[SecretStr, _POSTGRES] = SecretStr("postgresql://mlops_reader@127.0.0.1:5432/access")
    """The access service's database, with the read-only role: whom doors saw, as people confirmed it."""
    s3_endpoint: Annotated[str | None, _HTTP] = None
    """S3 endpoint; empty for AWS itself."""
    s3_access_key_id: str = ""
    """Name of the key for S3; empty: key and region come from the usual AWS_* variables, files or roles."""
    s3_secret_access_key: SecretStr = SecretStr("")
    """The key itself."""
    s3_session_token: SecretStr = SecretStr("")
    """Token of a key that is lent for some hours."""
    s3_region: str = ""
    """Region of S3; empty: the usual AWS_* variables."""
    photo_buckets: tuple[str, ...] = ("tasks",)
    """Buckets that `photoUrl` may name; anything else is never fetched."""
    dataset_bucket: str = "datasets"
    """Bucket for manifests, shards, checkpoints and reports."""
    model_bucket: str = "models"
    """Bucket for model artifacts."""
    gallery_uri: str = "s3://faces/"
    """Where the model servers keep photos of enrolled people (`FACESERVE_GALLERY_URI`): `backups erase-again` looks
    there for whoever was erased; empty: nowhere."""
    mlflow_url: Annotated[str, _HTTP] = "http://127.0.0.1:5000"
    """MLflow tracking server and model registry."""
    mlflow_link_url: Annotated[str | None, _HTTP] = None
    """The same for people's browsers, in links; empty: the address above."""
    faceserve_replicas: tuple[str, ...] = ("127.0.0.1:8600",)
    """Lifecycle addresses of every faceserve replica; `dns:///name:port` stands for all that the name has."""
    faceserve_out_of_rotation: tuple[str, ...] = ()
    """Addresses of replicas that a person took out of rotation: promotions go on without them."""
    faceserve_token: SecretStr = SecretStr("")
    """Bearer token of faceserve's lifecycle service."""
    faceserve_tls_ca: Path | None = None
    """Authority (PEM) that signed the certificates of the replicas' lifecycle ports; empty: they have no TLS."""
    faceserve_tls_certificate: Path | None = None
    """Certificate (PEM) that the pipeline shows them, in a name of their `FACESERVE_LIFECYCLE_IDENTITIES`."""
    faceserve_tls_key: Path | None = None
    """Its private key (PEM)."""
    prepare_timeout_seconds: PositiveSeconds = 60.0
    """Deadline for one replica to download, load, warm up and check a model."""
    activate_timeout_seconds: PositiveSeconds = 5.0
    """Deadline for one replica to exchange the reference."""
    rollback_straggler_seconds: PositiveSeconds = 20.0
    """What a rollback gives the other replicas to load once it has reached one; who needs longer is brought back by
    `reconcile`. The next emergency waits for it."""
    administrators: tuple[str, ...] = ()
    """Who may clear a freeze or force a model live in Airflow, by the name of the login; empty: who is admin in its
    simple auth manager, under another one whoever may trigger its DAG."""
    executor: Literal["local", "celery", "kubernetes"] = "local"
    """Where Airflow runs tasks: `local` beside its scheduler, `celery` on workers, which may be on other machines,
    in a cluster `kubernetes`: slices of photos and verification in pods of their own."""
    slices_at_once: Annotated[int, Range(at_least=1, at_most=1024)] = SLICES_AT_ONCE
    """Slices of photos prepared at once; with workers, as many as these have places for `cpu-heavy` tasks, together."""
    log_format: Literal["text", "json"] = "text"
    """How commands and the exporter log: lines for people, or one JSON object a line; in Airflow its own does."""
    git_commit: str = ""
    """Commit this build was made of, kept with every registered model; empty: asked of git."""

    intake: Annotated[IntakePolicy, Named("intake_")] = IntakePolicy()
    """When confirmations are taken in"""
    retraining: Annotated[
        RetrainingPolicy,
        Named(
            own={
                "min_days": "min_days_between_trainings",
                "begins": "cheap_from",
                "ends": "cheap_until",
                "zone": "cheap_zone",
            }
        ),
    ] = RetrainingPolicy()
    """When to retrain"""
    selection: SelectionPolicy = SelectionPolicy()
    """Which photos make a dataset"""
    quality: Annotated[
        QualityPolicy, Named(own={"dark": "dark_below", "bright": "bright_above", "blurred": "blurred_below"})
    ] = QualityPolicy()
    """What a dataset has to be like"""
    augmentation: Annotated[Augmentation, Named("augmentation_", own={"photos_per_slice": "photos_per_slice"})] = (
        Augmentation()
    )
    """How training photos are multiplied; frozen with the dataset"""

    hyperparameters: Annotated[Hyperparameters, Named(own={"seed": "training_seed", "accumulation": None})] = (
        Hyperparameters()
    )
    """Training"""
    training_runtime: Literal["local", "kubernetes"] = "local"
    """`local` trains in a child process, `kubernetes` in a GPU pod (spot, last attempt on demand); the same command."""
    training_image: str = ""
    """Image of the training pod, by digest; read by the DAG of a retraining."""
    weights_uri: str | None = None
    """`s3://…` mirror of the Keras weights file; empty: Keras' cache, then download."""
    export_formats: tuple[Literal["int8", "onnx"], ...] = ("int8", "onnx")
    """What an artifact holds besides SavedModel and OpenVINO: an int8 copy, and ONNX for ONNX Runtime."""
    signing_key: Path | None = None
    """Private key (PEM) that signs artifacts; servers with its public key take models from nobody else."""
    training_memory_mb: Annotated[int | None, Range(at_least=1, at_most=1e9)] = None
    """Memory limit of one training attempt; empty: none."""
    demanded_gpus: Annotated[int, Range(at_least=0, at_most=MAX_GPUS)] = 0
    """GPUs that a training has to find, else it fails at once; a training pod is told as many as it asked for."""
    training_pod: Annotated[TrainingPod, Named("training_pod_")] = TrainingPod()
    """What a training in Kubernetes asks the cluster for"""

    verification: Annotated[
        VerificationPolicy, Named(own={"margin": "non_inferiority_margin", "confidence": "comparison_confidence"})
    ] = VerificationPolicy()
    """What may go live"""
    inconclusive: WhenInconclusive = WhenInconclusive.FLOORS
    """Who decides when the evidence proves neither: `floors`, as the specification says, or a person (`approval`)."""
    load_test: Annotated[LoadTest, Named("performance_")] = LoadTest()
    """How performance is measured"""
    staleness: Annotated[StalenessPolicy, Named("staleness_")] = StalenessPolicy()
    """What earlier versions are asked, so that reports say what staleness costs"""

    face_retraining: Annotated[
        FaceRetrainingPolicy, Named("face_", own={"min_days": "face_min_days_between_trainings"})
    ] = FaceRetrainingPolicy()
    """Faces: when to retrain"""
    face_selection: Annotated[FaceSelectionPolicy, Named("face_")] = FaceSelectionPolicy()
    """Faces: which photos of whom make a dataset"""
    face_gate: Annotated[FaceGatePolicy, Named("face_")] = FaceGatePolicy()
    """Faces: what may go live"""
    face_watch: Annotated[FaceWatchPolicy, Named("face_live_")] = FaceWatchPolicy()
    """Faces: when people are told of wrong answers at doors, and when the champion is taken down"""

    live: Annotated[LiveAccuracyPolicy, Named("live_")] = LiveAccuracyPolicy()
    """Live accuracy: when people are told, and when the champion is taken down"""
    monitor_schedule: Annotated[str, Cron()] = "*/15 * * * *"
    """When the monitor looks at live accuracy (cron, UTC); read by its DAG."""
    # A canary is aborted where a champion would be taken down, so its floor is no setting of its own.
    canary: Annotated[CanaryPolicy, Named("canary_", own={"floor": None})] = CanaryPolicy()
    """Canary: how many requests it gets, and when it is judged"""
    retention: Annotated[RetentionPolicy, Named(own={"keep": "keep_versions"})] = RetentionPolicy()
    """What is kept of older versions"""
    archive_uri: str = "s3://models/archive/"
    """Where older versions' files go, in Glacier."""
    pruning: PruningPolicy = PruningPolicy()
    """What is kept of old data, and of models that never served"""
    backup_dsn: Annotated[SecretStr, _POSTGRES_OR_NONE] = SecretStr("")
    """PostgreSQL server that is backed up, with the role that may copy it; empty: somebody else does that."""
    backup_uri: str = "s3://backups/postgres/"
    """Where copies of the databases and their log go, a folder of their own."""
    backup_scratch: Path | None = None
    """Folder in which a restore rebuilds every database; empty: where the system keeps temporary files."""
    backups: Annotated[BackupPolicy, Named("backup_")] = BackupPolicy()
    """Backups of the databases"""
    exporter_airflow_password: SecretStr = SecretStr("")
    """Password of the exporter's login at Airflow, `RETRAIN_EXPORTER_AIRFLOW_USER`."""
    exporter: Annotated[ExporterPolicy, Named("exporter_")] = ExporterPolicy()
    """What is told to Prometheus"""

    def __init__(self, elsewhere: Elsewhere = NOWHERE, /, **values: Any) -> None:
        unset = {name: one.raw for name, one in elsewhere.items()}
        found = tree(type(self), lambda variable: unset.get(variable.name) if variable.raw is None else None)
        try:
            super().__init__(**{**found, **values})
        except ValidationError as error:
            raise SettingsRefused(of_types(type(self), error, elsewhere)) from None
        refused = of_rotation(self.faceserve_replicas, self.faceserve_out_of_rotation)
        if refused := of_bounds(self, elsewhere) + refused:
            raise SettingsRefused(refused)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment alone, by names that do not depend on how deep a value lies."""
        return init_settings, Environment(settings_cls)

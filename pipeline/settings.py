"""Every setting of the retraining application: environment variables with the prefix `RETRAIN_`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.domain.backbones import demand_known
from pipeline.domain.training import Hyperparameters


class Settings(BaseSettings):
    """Read by `bootstrap` alone; a docstring under each field says what it changes."""

    model_config = SettingsConfigDict(env_prefix="RETRAIN_", frozen=True, extra="ignore")

    # Outside systems
    amqp_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/%2F")
    """RabbitMQ, as `amqp://user:password@host:port/vhost`."""
    task_exchange: str = "task.events"
    """Exchange the Helper service publishes `TaskConfirmedEvent` to (topic)."""
    task_queue: str = "mlops.task-confirmed"
    """Quorum queue this application drains; its dead letters go to `<task_queue>.dead`."""
    model_exchange: str = "model.events"
    """Exchange for model events (topic; routing key = event type)."""
    mlops_dsn: SecretStr = SecretStr("postgresql://mlops@127.0.0.1:5432/mlops")
    """This application's own database."""
    helper_dsn: SecretStr = SecretStr("postgresql://mlops_reader@127.0.0.1:5432/helper")
    """The Helper database, with the read-only role."""
    s3_endpoint: str | None = None
    """S3 endpoint; empty for AWS itself. Credentials come from the usual AWS_* variables."""
    photo_buckets: tuple[str, ...] = ("tasks",)
    """Buckets that `photoUrl` may name; anything else is never fetched."""
    dataset_bucket: str = "datasets"
    """Bucket for manifests, shards, checkpoints and reports."""
    model_bucket: str = "models"
    """Bucket for model artifacts."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """MLflow tracking server and model registry."""
    faceserve_replicas: tuple[str, ...] = ("127.0.0.1:8600",)
    """Lifecycle addresses of every faceserve replica."""
    faceserve_token: SecretStr = SecretStr("")
    """Bearer token of faceserve's lifecycle service."""

    git_commit: str = ""
    """Commit this build was made of, kept with every registered model; empty: asked of git."""

    # When to retrain (specification, messages 5-6)
    min_corrections: int = 100
    """Corrections since the last training that make one due."""
    urgent_corrections: int = 300
    """Corrections that make one due whatever the time since the last training."""
    min_days_between_trainings: float = 7.0
    """Days since the last training before another one that is not urgent."""

    # Data
    correction_limit: int = 500
    """Most corrections collected for one dataset."""
    sample_limit: int = 2000
    """Most recent confirmed tasks drawn for validation, holdout and replay, whatever their verdict."""
    history_limit: int = 500
    """Confirmed tasks spread over all time, beside the most recent ones."""
    replay_per_correction: float = 3.0
    """Unchanged verdicts replayed for each correction."""
    earlier_per_correction: float = 1.0
    """Corrections of earlier trainings replayed for each new one."""
    min_train_photos: int = 400
    """Replay tops the training photos up to this many."""
    validation_share: float = 0.16
    """Share of photo clusters for validation, decided by hash for ever (0.2 of what the holdout leaves)."""
    holdout_share: float = 0.20
    """Share of photo clusters never trained on; a cluster that was seen keeps its side when shares change."""
    holdout_limit: int = 1000
    """Most photos of the earlier holdout that a new model is judged on as well, newest first."""
    max_unusable_share: float = 0.20
    """Share of missing or unreadable photos above which a run stops."""
    min_class_share: float = 0.10
    """Least share of each class among the training photos."""
    blurred_below: float = 20.0
    """Sharpness (variance of the Laplacian at 256 pixels) below which a photo counts as blurred."""
    warn_drift: float = 0.15
    """Difference to the last dataset, in class shares and brightness, that is worth a warning."""
    warn_holdout_uses: int = 50
    """Verdicts after which holdout photos count as worn."""
    augmentation_copies: int = 5
    """Images per training photo: the original and this many less one augmented."""
    augmentation_rotation_degrees: float = 15.0
    """Rotation up to plus or minus this."""
    augmentation_flip_probability: float = 0.5
    """Share of copies that are mirrored."""
    augmentation_brightness: float = 0.2
    """Largest change of brightness, as a share of the full range."""
    augmentation_contrast: float = 0.2
    """Largest change of contrast, as a share."""
    photos_per_slice: int = 250
    """Photos one mapped augment task prepares. This and the augmentation's parameters are frozen with the dataset."""
    augmentation_seed: int = 7
    """Seed of the augmentations; the same photo and seed give the same images."""

    # Training (specification, message 18)
    training_runtime: Literal["local", "kubernetes"] = "local"
    """`local` trains in a child process, `kubernetes` in a GPU pod; the same command either way."""
    backbone: Annotated[str, AfterValidator(demand_known)] = Hyperparameters.backbone
    """Frozen ImageNet backbone."""
    weights_uri: str | None = None
    """`s3://…` mirror of the Keras weights file; empty: Keras' cache, then download."""
    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 0.001
    patience: int = 5
    """Epochs without better val_loss after which training stops."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of certainty taken off the labels: against overconfidence, and wrong labels."""
    balance_classes: bool = True
    """Rare classes weigh more in training, so that each counts alike."""
    fine_tune_epochs: Annotated[int, Field(ge=0)] = 0
    """Epochs of a second phase that trains the backbone's last block too, kept only if it helps validation; 0: none."""
    export_formats: tuple[Literal["int8", "onnx"], ...] = ("int8", "onnx")
    """What an artifact holds besides SavedModel and OpenVINO: an int8 copy, and ONNX for ONNX Runtime."""
    signing_key: Path | None = None
    """Private key (PEM) that signs artifacts; servers with its public key take models from nobody else."""
    training_memory_mb: int | None = None
    """Memory limit of one training attempt; empty: none."""

    # Verification (specification, messages 20-26)
    min_validation_accuracy: float = 0.90
    min_holdout_accuracy: float = 0.88
    min_class_accuracy: float = 0.90
    max_mean_latency_ms: float = 200.0
    max_memory_bytes: int = 2_000_000_000
    max_gpu_utilization: float = 0.80
    min_throughput_per_second: float = 50.0
    inconclusive: Literal["floors", "approval"] = "floors"
    """Who decides when the evidence proves neither: the floors above as the specification says, or a person."""
    min_support: int = 50
    """Photos behind an accuracy, of a class too, below which it is called unsure."""
    non_inferiority_margin: float = 0.03
    """How much worse than the champion the holdout may leave possible, for a proof."""
    min_holdout_photos: int = 100
    """Holdout photos, near-duplicates counted once, below which nothing is proven."""
    max_negative_flips: float = 0.05
    """Share of photos that the champion judges right and the candidate wrong, for a proof."""
    max_slice_fall: float = 0.10
    """How far accuracy may fall beyond chance on a slice of photos."""
    max_gain: float = 0.15
    """A gain over the champion surely beyond this waits for a person: it smells of a leak."""
    performance_requests: int = 1000
    """Inferences behind the performance verdict."""
    performance_concurrency: int = 4
    """Requests in flight while measuring."""

    # Deployment
    prepare_timeout_seconds: float = 60.0
    """Deadline for one replica to download, load, warm up and check a model."""
    activate_timeout_seconds: float = 5.0
    """Deadline for one replica to exchange the reference."""

    # After it is live (specification §9-§11)
    live_window_hours: float = 168.0
    """Confirmations of the champion that count for its live accuracy are at most so old."""
    live_min_confirmations: int = 100
    """Fewer matured confirmations say nothing: the state is `unknown`."""
    live_matured_minutes: float = 60.0
    """Confirmations count once they are so old, when late ones are in."""
    live_stale_hours: float = 48.0
    """Without any confirmation for so long the state is `unknown`."""
    live_alert_accuracy: float = 0.85
    live_rollback_accuracy: float = 0.80
    canary_percent: float = 10.0
    """Share of the requests a canary answers."""
    canary_min_confirmations: int = 100
    """Confirmations of the canary's own answers that decide."""
    canary_deadline_hours: float = 24.0
    """A canary without enough confirmations by then is aborted."""
    keep_versions: int = 10
    """Newest versions of a model type whose files stay at hand."""
    archive_uri: str = "s3://models/archive/"
    """Where older versions' files go, in Glacier."""

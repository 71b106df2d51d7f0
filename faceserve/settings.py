"""Every setting of the model server: environment variables with the prefix `FACESERVE_`."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read by the entry point alone; a docstring under each field says what it changes."""

    model_config = SettingsConfigDict(env_prefix="FACESERVE_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    """Address to listen on."""
    grpc_port: int = 8500
    """gRPC port; 0 takes a free one."""
    metrics_port: int = 9500
    """Prometheus `/metrics` port; 0 serves none."""
    replica: str = "replica-1"
    """This replica's name in answers and status."""
    state_dir: Path = Path("faceserve-state")
    """Where the active version and downloaded artifacts are kept across restarts."""
    models: tuple[str, ...] = ("laundry", "face")
    """Model names served; each has its own active version."""
    lifecycle_token: SecretStr = SecretStr("")
    """Bearer token of the lifecycle service; without it every lifecycle call is refused."""
    s3_endpoint: str | None = None
    """S3 endpoint; empty for AWS itself. Credentials come from the usual AWS_* variables."""
    photo_buckets: tuple[str, ...] = ("tasks",)
    """Buckets a `uri` may name."""
    engine: Literal["openvino", "tensorflow"] = "openvino"
    """Inference engine."""
    engine_threads: int = 2
    """Threads of one engine."""
    vet_seconds: float = 45.0
    """How long a candidate may take to load and answer in a process of its own; 0 tries it out in the server."""
    workers: int = 8
    """Requests worked on at once; more wait in gRPC's queue."""
    max_queued: int = 128
    """Requests waiting beyond that are refused with RESOURCE_EXHAUSTED."""
    max_message_bytes: int = 34 * 1024 * 1024
    """Largest request."""
    drain_seconds: float = 10.0
    """How long requests in flight may finish on a version that was replaced, and after SIGTERM."""

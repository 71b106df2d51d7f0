"""Settings that every stand-in has, each under the prefix of its own."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, FilePath, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class StandInSettings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int
    """HTTP port."""
    log_format: Literal["text", "json"] = "text"
    """How it logs: lines for people, or one JSON object a line."""
    dsn: SecretStr
    """The service's own database."""
    amqp_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/%2F")
    """RabbitMQ; when it is gone, confirmations are still taken and published later."""
    exchange: str = "task.events"
    """Topic exchange for `TaskConfirmedEvent`."""
    queue: str = "mlops.task-confirmed"
    """Queue that must exist before the first event, so that none is lost while nobody listens."""
    faceserve_replicas: tuple[str, ...] = ("127.0.0.1:8500",)
    """faceserve replicas for the first verdict."""
    faceserve_token: SecretStr = SecretStr("")
    """Bearer token, where they want one for inference (`FACESERVE_INFERENCE_TOKEN`)."""
    faceserve_tls_ca: Annotated[FilePath | None, BeforeValidator(lambda said: said or None)] = None
    """Authority (PEM) that signed the certificates of their inference ports; empty: they have no TLS."""
    s3_endpoint: str | None = None
    """S3 with the photos; empty: Amazon's. Credentials are the usual `AWS_*`."""
    photo_buckets: tuple[str, ...] = ("tasks",)
    """Buckets whose photos people may see."""

"""Settings of the Helper stand-in: environment variables with the prefix `HELPER_`."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HELPER_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8090
    """HTTP port."""
    dsn: SecretStr = SecretStr("postgresql://helper@127.0.0.1:5432/helper")
    """The Helper service's own database."""
    amqp_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/%2F")
    """RabbitMQ; when it is gone, confirmations are still taken and published later."""
    exchange: str = "task.events"
    """Topic exchange for `TaskConfirmedEvent`."""
    queue: str = "mlops.task-confirmed"
    """Queue that must exist before the first event, so that none is lost while nobody listens."""
    blind_audit_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of tasks whose reviewer does not see the AI's verdict; their events carry `blindAudit`."""
    faceserve_replicas: tuple[str, ...] = ("127.0.0.1:8500",)
    """faceserve replicas for the first verdict."""

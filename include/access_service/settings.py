"""Settings of the access stand-in: environment variables with the prefix `ACCESS_`."""

from typing import Annotated, Self

from pydantic import BeforeValidator, FilePath, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from include.contract.client import ClientTls
from include.stand_in.settings import StandInSettings

MODEL = "face"
"""faceserve's name for the model that tells people apart."""


class Settings(StandInSettings):
    model_config = SettingsConfigDict(env_prefix="ACCESS_")

    port: int = 8091
    """HTTP port."""
    dsn: SecretStr = SecretStr("postgresql://access@127.0.0.1:5432/access")
    """The access service's own database."""
    faceserve_enrolment: str = "127.0.0.1:8600"
    """Lifecycle address of a replica: whom it enrols or withdraws, all know or forget."""
    faceserve_enrolment_token: SecretStr = SecretStr("")
    """Bearer token for that (`FACESERVE_ENROLMENT_TOKEN`, else the lifecycle's)."""
    faceserve_tls_certificate: Annotated[FilePath | None, BeforeValidator(lambda said: said or None)] = None
    """Certificate (PEM) that it shows there, in a name of `FACESERVE_LIFECYCLE_IDENTITIES`; empty: none is wanted."""
    faceserve_tls_key: Annotated[FilePath | None, BeforeValidator(lambda said: said or None)] = None
    """Its private key (PEM)."""

    @model_validator(mode="after")
    def _knows_all_of_tls(self) -> Self:
        try:
            ClientTls.of(self.faceserve_tls_ca, self.faceserve_tls_certificate, self.faceserve_tls_key)
        except ValueError:
            raise ValueError(
                "ACCESS_FACESERVE_TLS_CERTIFICATE needs ACCESS_FACESERVE_TLS_KEY and ACCESS_FACESERVE_TLS_CA"
            ) from None
        return self

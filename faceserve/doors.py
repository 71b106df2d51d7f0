"""Who may call which port: tokens, certificates and names, as the settings say."""

from pathlib import Path
from typing import Literal

import grpc
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from faceserve.protocols.access import LIFECYCLE, Door, Guard, Identities
from faceserve.protocols.certificates import Certificates
from faceserve.protocols.open_inference_grpc import SERVICE_NAME as OPEN_INFERENCE
from faceserve.protocols.tls import Tls
from faceserve.protocols.tokens import AnyOf, Tokens
from faceserve.settings import Settings

_INFERENCE = "/faceserve.v1.Inference/"
# Probes know no tokens.
_PROBES = ("ServerLive", "ServerReady")

PortName = Literal["lifecycle", "inference", "http"]


class Doors:
    """Raises `ValueError` for settings that contradict each other, and for files that are not what they should be.

    Until when certificates count, who scrapes `registry` is told.
    """

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._settings = s = settings
        _demand_whole(s)
        self.inference_tokens = _tokens(s.inference_token, s.inference_token_file)
        self._lifecycle_tokens = _tokens(s.lifecycle_token, s.lifecycle_token_file)
        enrolment = _tokens(s.enrolment_token, s.enrolment_token_file)
        self._enrolment_tokens = enrolment if enrolment.needed else self._lifecycle_tokens
        files = {"server": s.tls_certificate if s.tls_ports else None, "client_ca": s.tls_client_ca}
        tls = Tls(s.tls_certificate, s.tls_key, s.tls_client_ca) if s.tls_certificate and s.tls_key else None
        self._certificates = Certificates(
            {what: path for what, path in files.items() if path}, whole=lambda: tls is None or tls.whole
        )
        registry.register(self._certificates)

    def tls(self, port: PortName) -> Tls | None:
        s = self._settings
        if not s.tls_certificate or not s.tls_key or port not in s.tls_ports:
            return None
        return Tls(s.tls_certificate, s.tls_key, s.tls_client_ca if port == "lifecycle" else None)

    def inference(self) -> list[grpc.ServerInterceptor]:
        door = Door(self.inference_tokens, "requests", open=True)
        probes = {f"/{OPEN_INFERENCE}/{probe}": None for probe in _PROBES}
        return [Guard({_INFERENCE: door, f"/{OPEN_INFERENCE}/": door, **probes})]

    def lifecycle(self) -> list[grpc.ServerInterceptor]:
        """With mTLS, a certificate in one of the names is enough where no token is set; else both are needed."""
        s = self._settings
        certified = s.tls_client_ca is not None
        changes = Door(self._lifecycle_tokens, "lifecycle calls", open=certified)
        enrolling = Door(self._enrolment_tokens, "enrolling", open=certified)
        # It opens no door to anybody: whoever erases a person with all that is kept of them may do it, too.
        # Where a certificate alone changes models, it is enough for this, too.
        needed = self._lifecycle_tokens.needed or not certified
        either = AnyOf(self._enrolment_tokens, self._lifecycle_tokens) if needed else self._lifecycle_tokens
        forgetting = Door(either, "withdrawing", open=certified)
        guard = Guard({LIFECYCLE: changes, f"{LIFECYCLE}Enroll": enrolling, f"{LIFECYCLE}Withdraw": forgetting})
        return [guard, Identities(s.lifecycle_identities, self._certificates.seen)] if certified else [guard]


def _demand_whole(s: Settings) -> None:
    if (s.tls_certificate is None) != (s.tls_key is None) or (s.tls_client_ca and not s.tls_certificate):
        raise ValueError("TLS needs both FACESERVE_TLS_CERTIFICATE and FACESERVE_TLS_KEY")
    if bool(s.tls_client_ca) != bool(s.lifecycle_identities):
        raise ValueError(
            "FACESERVE_TLS_CLIENT_CA and FACESERVE_LIFECYCLE_IDENTITIES need each other: not every certificate of an "
            "authority may change models"
        )
    if s.tls_client_ca and "lifecycle" not in s.tls_ports:
        raise ValueError("FACESERVE_TLS_CLIENT_CA is for the lifecycle port, which is not in FACESERVE_TLS_PORTS")


def _tokens(text: SecretStr, file: Path | None) -> Tokens:
    return Tokens(text.get_secret_value(), file)

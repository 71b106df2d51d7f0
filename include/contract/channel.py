"""Channels to replicas: deadlines on every call, retries where they are safe, errors with the replica's name."""

import itertools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc

from include.contract.certificate_files import CertificateFiles, Watched
from include.contract.portable import Portable
from include.contract.tracing import HEADER, traceparent

_MAX_MESSAGE_BYTES = 34 * 1024 * 1024
# Nearly every call of both services is idempotent, so a call that may or may not have arrived can be repeated.
_RETRIES = {
    "methodConfig": [
        # Not repeated: its answer lost and the person withdrawn meanwhile, it would enroll somebody who asked to be
        # forgotten.
        {"name": [{"service": "faceserve.v1.Lifecycle", "method": "Enroll"}]},
        {
            "name": [{"service": "faceserve.v1.Inference"}, {"service": "faceserve.v1.Lifecycle"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
    ]
}

_HALF = "a certificate needs its key, and the authority of whom it is shown to"

Method = Callable[[grpc.Channel], Callable[..., Any]]


class FaceserveError(Portable):
    """A replica refused or did not answer; `code` is the gRPC status name."""

    def __init__(self, address: str, code: str, detail: str) -> None:
        super().__init__(f"{address}: {code}: {detail}")
        self.address = address
        self.code = code
        self.detail = detail

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}


@dataclass(frozen=True)
class ClientTls:
    """PEM files: the authority that signed the server, and for mTLS this client's certificate and key.

    `server_name` is what the server's certificate says, where the address does not. Files that change count from the
    next call on. Raises `ValueError` for a certificate without its key, or a key without its certificate.
    """

    server_ca: Path
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError(_HALF)

    @classmethod
    def of(cls, server_ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> Self | None:
        """Without an authority there is no TLS. Raises `ValueError` for what would silently be left out."""
        if server_ca is None and (certificate or key):
            raise ValueError(_HALF)
        return cls(server_ca, certificate, key) if server_ca else None

    @property
    def files(self) -> CertificateFiles:
        return CertificateFiles(self.server_ca, self.certificate, self.key)


class Replicas:
    """Calls go to the replicas in turn; one that is unreachable is passed over while another answers."""

    def __init__(
        self, addresses: Sequence[str], *, timeout_seconds: float, token: str = "", tls: ClientTls | None = None
    ) -> None:
        self._options: list[tuple[str, Any]] = [
            ("grpc.service_config", json.dumps(_RETRIES)),
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.enable_retries", 1),
            # A replica that restarts is found again at once, not after minutes of growing pauses.
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.initial_reconnect_backoff_ms", 100),
        ]
        if tls and tls.server_name:
            self._options.append(("grpc.ssl_target_name_override", tls.server_name))
        self.addresses = list(addresses)
        self._certificates = Watched(tls.files) if tls else None
        self._opening = threading.Lock()
        self._channels: list[grpc.Channel] = []
        self._current()
        self._turn = itertools.count()
        self._metadata: tuple[tuple[str, str], ...] = (("authorization", f"Bearer {token}"),) if token else ()
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def _current(self) -> list[grpc.Channel]:
        """The channels, others once the files of TLS are. Calls that run go on over those of before, and so do all
        while the files are of no use; none where they never were of any.
        """
        with self._opening:
            if self._certificates is None:
                self._channels = self._channels or [grpc.insecure_channel(one, self._options) for one in self.addresses]
            elif (pem := self._certificates.newer()) is not None:
                credentials = grpc.ssl_channel_credentials(pem.authority, *(pem.pair or ()))
                self._channels = [grpc.secure_channel(one, credentials, self._options) for one in self.addresses]
            return self._channels

    def _unopened(self, address: str) -> FaceserveError:
        """Why there is no channel."""
        return FaceserveError(address, "UNAVAILABLE", self._certificates.fault if self._certificates else "")

    def call(self, method: Method, request: Any, timeout_seconds: float | None = None) -> Any:
        """The first answer. Raises `FaceserveError`."""
        first, channels = next(self._turn), self._current()
        error = None if channels else self._unopened(self.addresses[0])
        for offset in range(len(channels)):
            index = (first + offset) % len(channels)
            try:
                return method(channels[index])(
                    request, timeout=timeout_seconds or self._timeout_seconds, metadata=self._said()
                )
            except grpc.RpcError as failure:
                error = refused(self.addresses[index], failure)
                if not error.may_pass:
                    raise error from None
            except ValueError as closed:
                # Closed by another thread, which no longer waits for it.
                raise FaceserveError(self.addresses[index], "CANCELLED", str(closed)) from None
        assert error is not None
        raise error

    def _said(self) -> tuple[tuple[str, str], ...]:
        """Metadata of a request: who asks, and in which trace."""
        context = traceparent()
        return (*self._metadata, (HEADER, context)) if context else self._metadata

    def each(self, method: Method, request: Any, *, timeout_seconds: float) -> Mapping[str, Any]:
        """Every replica's answer, by address; each is asked once, and its `FaceserveError` stands in for a missing
        answer.
        """
        answers: dict[str, Any] = {}
        channels = self._current()
        if not channels:
            return {one: self._unopened(one) for one in self.addresses}
        for address, channel in zip(self.addresses, channels, strict=True):
            try:
                answers[address] = method(channel)(request, timeout=timeout_seconds, metadata=self._said())
            except grpc.RpcError as failure:
                answers[address] = refused(address, failure)
        return answers


def refused(address: str, failure: grpc.RpcError) -> FaceserveError:
    return FaceserveError(address, failure.code().name, failure.details() or "")

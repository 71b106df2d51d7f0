"""Certificates of the ports; files that change are read again, so that a new certificate needs no restart."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from include.contract.certificate_files import CertificateFiles, Pem, Watched

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tls:
    """PEM files; with an authority for clients, a certificate is demanded of each."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC. Raises `ValueError` for files that are no pair."""
        watched = Watched(self._files)

        def newer() -> Any:
            pem = watched.newer()
            return _configuration(pem) if pem else None

        pem = watched.newer()
        if pem is None:
            raise ValueError(watched.fault)
        return grpc.dynamic_ssl_server_credentials(_configuration(pem), newer, self.client_ca is not None)

    def context(self) -> ssl.SSLContext:
        """For HTTP, where no client shows a certificate. Raises `ValueError` for files that are no pair."""
        watched = Watched(self._files)
        if watched.newer() is None:
            raise ValueError(watched.fault)
        made = self._context()
        current = [made]

        def newest(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
            if watched.newer():
                try:
                    current[0] = self._context()
                except ValueError as error:
                    log.warning("the certificate of before goes on: %s", error)
            connection.context = current[0]

        made.sni_callback = newest
        return made

    @property
    def whole(self) -> bool:
        """Whether the files are a pair as they lie there; the ports go on with the last ones that were."""
        try:
            self._files.read()
        except (OSError, ValueError):
            return False
        return True

    @property
    def _files(self) -> CertificateFiles:
        return CertificateFiles(self.client_ca, self.certificate, self.key)

    def _context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            made.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise ValueError(f"{self.certificate} and {self.key} are no certificate and its key: {error}") from error
        return made


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([pem.pair] if pem.pair else [], pem.authority)

"""Certificates of the ports; files that change are read again, so that a new certificate needs no restart."""

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Tls:
    """PEM files; with an authority for clients, a certificate is demanded of each."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC. Raises `ValueError` for files that are no pair."""
        files = _Files(self)

        def newer() -> Any:
            return self._configuration() if files.changed() else None

        return grpc.dynamic_ssl_server_credentials(self._configuration(), newer, self.client_ca is not None)

    def context(self) -> ssl.SSLContext:
        """For HTTP, where no client shows a certificate. Raises `ValueError` for files that are no pair."""
        files = _Files(self)
        current = [self._context()]

        def newest(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
            if files.changed():
                current[0] = self._context()
            connection.context = current[0]

        made = self._context()
        made.sni_callback = newest
        return made

    @property
    def whole(self) -> bool:
        """Whether the files are a pair as they lie there; the ports go on with the last ones that were."""
        try:
            self.demand_pair()
        except (OSError, ssl.SSLError):
            return False
        return True

    def demand_pair(self) -> None:
        """Raises `OSError` or `ssl.SSLError`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca:
            context.load_verify_locations(self.client_ca)

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        authority = self.client_ca.read_bytes() if self.client_ca else None
        return grpc.ssl_server_certificate_configuration(
            [(self.key.read_bytes(), self.certificate.read_bytes())], authority
        )

    def _context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.load_cert_chain(self.certificate, self.key)
        return made


class _Files:
    """Whether there is another pair than before, at each handshake; half of a new one counts as none."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        try:
            self._seen = self._stamp()
            self._tls.demand_pair()
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"{tls.certificate} and {tls.key} are no certificate and its key: {error}") from error

    def changed(self) -> bool:
        with self._lock:
            try:
                stamp = self._stamp()
                if stamp == self._seen:
                    return False
                self._tls.demand_pair()
            except (OSError, ssl.SSLError) as error:
                log.warning("%s goes on being used as it was: %s", self._tls.certificate, error)
                return False
            self._seen = stamp
        log.info("%s is a new certificate", self._tls.certificate)
        return True

    def _stamp(self) -> _Stamp:
        paths = (self._tls.certificate, self._tls.key, self._tls.client_ca)
        found = [path.stat() for path in paths if path]
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)

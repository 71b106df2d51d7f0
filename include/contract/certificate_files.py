"""Certificates and keys in PEM files that change while programs run: half of new ones counts as none.

gRPC ends the whole process over some files that are no certificates, so none comes to it before it was read here.
"""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

log = logging.getLogger(__name__)

_BEGIN = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Pem:
    """What was in the files at one moment; `pair` is a key and its certificate. None is what there are no files of."""

    authority: bytes | None
    pair: tuple[bytes, bytes] | None


@dataclass(frozen=True)
class CertificateFiles:
    """PEM files: certificates of authorities, and a certificate (or a chain that begins with it) beside its key."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def read(self) -> Pem:
        """Raises `OSError`, or `ValueError` for a file that is not whole and for a key of another certificate."""
        authority = self.authority.read_bytes() if self.authority else None
        if self.authority and authority is not None:
            _certificates(self.authority, authority)
        return Pem(authority, _pair(self.key, self.certificate) if self.key and self.certificate else None)

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Another one once another file is there. Raises `OSError` where one is missing."""
        found = [path.stat() for path in (self.authority, self.certificate, self.key) if path]
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)


def _pair(key: Path, certificate: Path) -> tuple[bytes, bytes]:
    bodies = key.read_bytes(), certificate.read_bytes()
    try:
        opens = load_pem_private_key(bodies[0], None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{key} is no private key that can be read without a password") from None
    if opens != _certificates(certificate, bodies[1])[0].public_key():
        raise ValueError(f"{certificate} and {key} are no certificate and its key")
    return bodies


def _certificates(path: Path, body: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(body)
    except ValueError:
        raise ValueError(f"{path} is no certificate (PEM)") from None
    # What is cut off at the end is passed over silently.
    if len(found) < body.count(_BEGIN):
        raise ValueError(f"{path} is cut off in the middle of a certificate")
    return found


class Watched:
    """Looks whether files changed. Thread-safe.

    `fault` is a sentence about files that could not be used when they were looked at last, else empty.
    """

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._seen: tuple[tuple[int, int, int], ...] | None = None
        self.fault = ""

    def newer(self) -> Pem | None:
        """What is in the files, if it was not told before; None as well while it is of no use, which is logged once."""
        with self._lock:
            try:
                stamp = self._files.stamp()
                # Files that were of no use are looked at again: they may have been in the middle of being written.
                if stamp == self._seen and not self.fault:
                    return None
                found = self._files.read()
            except (OSError, ValueError) as error:
                if self.fault != str(error):
                    log.warning("certificates are looked at again at the next connection: %s", error)
                self.fault = str(error)
                return None
            self._seen, self.fault = stamp, ""
            return found

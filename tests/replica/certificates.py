"""A certificate authority for one test."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from include.contract.lifecycle_client import ClientTls


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path


class Authority:
    """`server` and `client` are two of its certificates; `pair` makes more, or a new one in place of an older."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("test authority")
        certificate = _signed(self._name, self._name, self._key, self._key)
        self.certificate = folder / "ca.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.server, self.client = self.pair("server"), self.pair("client")

    def pair(self, owner: str, *, hours: float = 1) -> Pair:
        own = ec.generate_private_key(ec.SECP256R1())
        made = Pair(self._folder / f"{owner}.pem", self._folder / f"{owner}.key")
        signed = _signed(_name(owner), self._name, own, self._key, hours)
        made.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made

    def client_tls(self, owner: str = "client") -> ClientTls:
        pair = self.client if owner == "client" else self.pair(owner)
        return ClientTls(self.certificate, pair.certificate, pair.key)

    def stranger_tls(self) -> ClientTls:
        """Trusts the server, but shows nothing of its own."""
        return ClientTls(self.certificate)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    hours: float = 2,
) -> x509.Certificate:
    """An authority's, where the subject is the issuer; it counts for longer than what it signs."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=hours))
        .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )

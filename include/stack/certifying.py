"""Keys and certificates of X.509: what is in one, and who signed it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from include.stack.dns_names import dns_name

MONTHS = timedelta(days=90)
"""How long a certificate counts that an authority gave."""
_YEARS = timedelta(days=3650)
# Clocks differ.
_BEFORE = timedelta(hours=1)


class CertificateError(RuntimeError):
    """Nobody can be given a certificate; one sentence that says what to do."""


@dataclass(frozen=True)
class Authority:
    """`trusted` are its own certificate and, while anything may count by them, those of the ones before it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    trusted: Sequence[x509.Certificate]

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether it, or one before it that is still trusted, did."""
        return any(issued(certificate, one) for one in self.trusted)

    def give(self, holder: "Holder", key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
        uses = (
            x509.BasicConstraints(ca=False, path_length=None),
            _signing(certificates=False),
            x509.ExtendedKeyUsage([holder.use]),
            holder.alternatives,
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
        )
        return _signed(_empty(_name(holder.owner), key, now, MONTHS), uses, self.certificate.subject, self.key)


def new_authority(now: datetime, before: Sequence[x509.Certificate] = ()) -> Authority:
    """`before` are those that go on being trusted."""
    key, name = new_key(), _name("laundry retraining")
    uses = (x509.BasicConstraints(ca=True, path_length=0), _signing(certificates=True))
    own = _signed(_empty(name, key, now, _YEARS), uses, name, key)
    return Authority(own, key, [own, *before])


@dataclass(frozen=True)
class Holder:
    """`names` are those of a server; a client has none."""

    owner: str
    names: tuple[str, ...] = ()

    @property
    def alternatives(self) -> x509.SubjectAlternativeName:
        """Raises `CertificateError`."""
        return x509.SubjectAlternativeName([_alternative(one) for one in dict.fromkeys(self.names or (self.owner,))])

    @property
    def use(self) -> x509.ObjectIdentifier:
        return ExtendedKeyUsageOID.SERVER_AUTH if self.names else ExtendedKeyUsageOID.CLIENT_AUTH


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _empty(name: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta) -> x509.CertificateBuilder:
    began = x509.CertificateBuilder().subject_name(name).public_key(key.public_key())
    timed = began.not_valid_before(now - _BEFORE).not_valid_after(now + life)
    return timed.serial_number(x509.random_serial_number()).add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )


def _signed(
    unsigned: x509.CertificateBuilder,
    uses: Iterable[x509.ExtensionType],
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    for use in uses:
        critical = isinstance(use, x509.BasicConstraints | x509.KeyUsage)
        unsigned = unsigned.add_extension(use, critical=critical)
    return unsigned.issuer_name(issuer).sign(key, hashes.SHA256())


def _signing(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether another one has to take its place: it ends soon, or begins only later, made while a clock was wrong."""
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - life / 3


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, InvalidSignature):
        # Of another name, or of another key.
        return False
    return True


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(_host(name))


def _host(name: str) -> str:
    """One for all below it may begin with `*.`."""
    below = name.removeprefix("*.")
    try:
        return name.removesuffix(below) + dns_name(below)
    except ValueError:
        raise CertificateError(
            f"{name!r} is no name of a host: names are such as models.example.com, with spaces between them"
        ) from None


def key_of(pem: bytes) -> ec.EllipticCurvePrivateKey:
    found = forms.load_pem_private_key(pem, None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is of another kind")
    return found


def private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(forms.Encoding.PEM) for one in certificates)

"""A private authority, and certificates of it: the model servers', and those of whoever changes models there.

`python -m include.stack.certificates FOLDER NAME…` keeps them as FOLDER/OWNER/tls.crt, tls.key and ca.crt, called as by
cert-manager; a NAME is one by which the model servers are called. Asked again it makes what is missing, and renews what
has a third of its time left. A renewed certificate keeps its key: who reads both never has one that is not the other's.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import click
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from include.stack import whole_files

AUTHORITY, SERVER = "authority", "faceserve"
CALLERS = ("pipeline", "access")
"""Who may call the lifecycle service, by the name in the certificate: `FACESERVE_LIFECYCLE_IDENTITIES`."""
ASKING = "clients"
"""Whoever only asks for verdicts: it knows whom to trust, and has no certificate."""
CERTIFICATE, KEY, TRUSTED = "tls.crt", "tls.key", "ca.crt"

_YEARS = timedelta(days=3650)
_MONTHS = timedelta(days=90)
# Clocks differ.
_BEFORE = timedelta(hours=1)
_ALWAYS = ("localhost", "127.0.0.1")


class CertificateError(RuntimeError):
    """Nobody can be given a certificate; one sentence that says what to do."""


class Store(Protocol):
    """Where the files of an owner are kept."""

    def read(self, owner: str) -> Mapping[str, bytes]:
        """By name; empty where there are none yet."""

    def write(self, owner: str, files: Mapping[str, bytes]) -> None:
        """In the order given, which leads through no state that a reader could not use."""


@dataclass(frozen=True)
class Folders:
    """A folder for each owner, so that each can have a volume of its own."""

    root: Path

    def read(self, owner: str) -> Mapping[str, bytes]:
        files = [self.root / owner / name for name in (KEY, TRUSTED, CERTIFICATE)]
        return {file.name: file.read_bytes() for file in files if file.exists()}

    def write(self, owner: str, files: Mapping[str, bytes]) -> None:
        there = self.read(owner)
        for name, body in files.items():
            if body != there.get(name):
                whole_files.write(self.root / owner / name, body, mode=0o600 if name == KEY else 0o644)


@dataclass(frozen=True)
class _Authority:
    """`trusted` are its own certificate and, while they last, those of the ones before it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    trusted: Sequence[x509.Certificate]

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether it, or one before it that is still trusted, did."""
        return any(_issued(certificate, one) for one in self.trusted)


def keep(store: Store, names: Sequence[str], now: datetime) -> list[str]:
    """Who got something new. Raises `CertificateError`."""
    authority = _authority(store, now)
    wanted: dict[str, Mapping[str, bytes]] = {
        SERVER: _kept(store.read(SERVER), authority, _Holder(SERVER, (*_ALWAYS, *names)), now),
        **{one: _kept(store.read(one), authority, _Holder(one), now) for one in CALLERS},
        ASKING: {TRUSTED: _pem(*authority.trusted)},
    }
    changed = [owner for owner, files in wanted.items() if files != store.read(owner)]
    for owner in changed:
        store.write(owner, wanted[owner])
    return changed


@dataclass(frozen=True)
class _Holder:
    """`names` are those of a server; a client has none."""

    owner: str
    names: tuple[str, ...] = ()

    @property
    def alternatives(self) -> x509.SubjectAlternativeName:
        return x509.SubjectAlternativeName([_alternative(one) for one in dict.fromkeys(self.names or (self.owner,))])

    @property
    def use(self) -> x509.ObjectIdentifier:
        return ExtendedKeyUsageOID.SERVER_AUTH if self.names else ExtendedKeyUsageOID.CLIENT_AUTH


def _authority(store: Store, now: datetime) -> _Authority:
    """The one that there is, or a new one where it ends soon."""
    found = store.read(AUTHORITY)
    try:
        trusted = x509.load_pem_x509_certificates(found[TRUSTED]) if TRUSTED in found else []
        current = _lasting(found, trusted, now)
    except ValueError as error:
        raise CertificateError(
            f"the certificates' authority cannot be read: {error}; bring it back, or delete it to have a new one made, "
            "which nobody trusts until he has its certificate"
        ) from error
    if current:
        return current
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("laundry retraining")
    uses = (x509.BasicConstraints(ca=True, path_length=0), _signing(certificates=True))
    own = _signed(_empty(name, key, now, _YEARS), uses, name, key)
    trusted = [own, *(one for one in trusted if one.not_valid_after_utc > now)]
    store.write(AUTHORITY, {KEY: _private(key), TRUSTED: _pem(*trusted), CERTIFICATE: _pem(own)})
    return _Authority(own, key, trusted)


def _lasting(found: Mapping[str, bytes], trusted: Sequence[x509.Certificate], now: datetime) -> _Authority | None:
    """None where it ends soon, or a first start was cut off. Raises `ValueError` for files that are not of one."""
    if not {KEY, CERTIFICATE, TRUSTED} <= set(found):
        return None
    certificate, key = x509.load_pem_x509_certificate(found[CERTIFICATE]), _key(found[KEY])
    if _ends_soon(certificate, now):
        return None
    if certificate.public_key() != key.public_key():
        raise ValueError("its key is not that of its certificate")
    return _Authority(certificate, key, trusted)


def _kept(files: Mapping[str, bytes], authority: _Authority, holder: _Holder, now: datetime) -> Mapping[str, bytes]:
    """The files that `holder` should have, the same ones if they are good."""
    try:
        key = _key(files[KEY])
    except (KeyError, ValueError):
        key = ec.generate_private_key(ec.SECP256R1())
    try:
        current = x509.load_pem_x509_certificate(files[CERTIFICATE])
        good = (
            not _ends_soon(current, now)
            and authority.issued(current)
            and current.public_key() == key.public_key()
            and current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == holder.alternatives
        )
    except (KeyError, ValueError):
        good = False
    certificate = files[CERTIFICATE] if good else _pem(_given(authority, holder, key, now))
    return {KEY: files[KEY] if good else _private(key), TRUSTED: _pem(*authority.trusted), CERTIFICATE: certificate}


def _given(authority: _Authority, holder: _Holder, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    uses = (
        x509.BasicConstraints(ca=False, path_length=None),
        _signing(certificates=False),
        x509.ExtendedKeyUsage([holder.use]),
        holder.alternatives,
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
    )
    return _signed(_empty(_name(holder.owner), key, now, _MONTHS), uses, authority.certificate.subject, authority.key)


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


def _ends_soon(certificate: x509.Certificate, now: datetime) -> bool:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return now > certificate.not_valid_after_utc - life / 3


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
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
        return x509.DNSName(name)


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    found = forms.load_pem_private_key(pem, None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is of another kind")
    return found


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(forms.Encoding.PEM) for one in certificates)


def told(store: Store, names: Sequence[str]) -> None:
    """`keep`, now; says who got something new."""
    try:
        changed = keep(store, names, datetime.now(UTC))
    except CertificateError as error:
        sys.exit(f"refused: {error}")
    print(f"new certificates: {', '.join(changed) or 'none'}", flush=True)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, metavar="NAME…")
def main(folder: Path, names: tuple[str, ...]) -> None:
    told(Folders(folder), names)


if __name__ == "__main__":
    main()

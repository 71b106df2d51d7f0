"""A private authority, and certificates of it: the model servers', and those of whoever changes models there.

`python -m include.stack.certificates FOLDER NAME…` keeps them as FOLDER/OWNER/tls.crt, tls.key and ca.crt, called as by
cert-manager; a NAME is one by which the model servers are called. Asked again it makes what is missing, and renews what
has a third of its time left. A renewed certificate keeps its key: who reads both never has one that is not the other's.
With `--revoke` everybody gets another key from another authority, and nothing of before opens anything.
"""

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import click
from cryptography import x509

from include.stack import whole_files
from include.stack.certifying import (
    MONTHS,
    Authority,
    CertificateError,
    Holder,
    is_due,
    issued,
    key_of,
    new_authority,
    new_key,
    pem,
    private,
)

__all__ = ["CertificateError"]

AUTHORITY, SERVER = "authority", "faceserve"
CALLERS = ("pipeline", "access")
"""Who may call the lifecycle service, by the name in the certificate: `FACESERVE_LIFECYCLE_IDENTITIES`."""
ASKING = "clients"
"""Whoever only asks for verdicts: it knows whom to trust, and has no certificate."""
CERTIFICATE, KEY, TRUSTED = "tls.crt", "tls.key", "ca.crt"

_ALWAYS = ("localhost", "127.0.0.1")
_TRIES = 10


class OvertakenError(RuntimeError):
    """An owner has other files than were read: somebody else changed them meanwhile."""


class Store(Protocol):
    """Where the files of an owner are kept. Two may be at work: what renews certificates, and who revokes them."""

    def alone(self) -> AbstractContextManager[None]:
        """Waits until nobody else changes anything; where a store cannot know, `write` notices it instead."""

    def read(self, owner: str) -> Mapping[str, bytes]:
        """By name; empty where there are none yet."""

    def write(self, owner: str, files: Mapping[str, bytes], there: Mapping[str, bytes]) -> None:
        """In the order given, which leads through no state that a reader could not use. Raises `OvertakenError` where
        the owner no longer has what was `there`.
        """


@dataclass(frozen=True)
class Folders:
    """A folder for each owner, so that each can have a volume of its own."""

    root: Path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The folder itself is locked: it is on the volume that all share who may change something."""
        (self.root / AUTHORITY).mkdir(parents=True, exist_ok=True)
        folder = os.open(self.root / AUTHORITY, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def read(self, owner: str) -> Mapping[str, bytes]:
        files = [self.root / owner / name for name in (KEY, TRUSTED, CERTIFICATE)]
        return {file.name: file.read_bytes() for file in files if file.exists()}

    def write(self, owner: str, files: Mapping[str, bytes], there: Mapping[str, bytes]) -> None:
        if self.read(owner) != there:
            raise OvertakenError(owner)
        for name, body in files.items():
            if body != there.get(name):
                whole_files.write(self.root / owner / name, body, mode=0o600 if name == KEY else 0o644)


def keep(store: Store, names: Sequence[str], now: datetime, *, revoke: bool = False) -> list[str]:
    """Who got something new; with `revoke` everybody, and nothing of before is trusted. Raises `CertificateError`."""
    holders = (Holder(SERVER, (*_ALWAYS, *names)), *(Holder(one) for one in CALLERS))
    # Before anything is changed.
    _ = [one.alternatives for one in holders]
    changed: dict[str, None] = {}
    for _ in range(_TRIES):
        # Who is overtaken reads anew.
        with suppress(OvertakenError), store.alone():
            _renew(store, holders, now, changed, revoke=revoke)
            return list(changed)
    raise CertificateError(
        "somebody else goes on changing the certificates: see to it that only one does, and try again"
    )


def _renew(store: Store, holders: Sequence[Holder], now: datetime, changed: dict[str, None], *, revoke: bool) -> None:
    """Whoever got something new is in `changed`. Raises `OvertakenError`."""
    # The authority last: whoever replaces it changes the others' files after that, so those of a later one are never
    # taken for ones that this one has to renew.
    there = {owner: store.read(owner) for owner in (*(one.owner for one in holders), ASKING, AUTHORITY)}
    authority = new_authority(now) if revoke else _authority(there, now)
    if (files := _files(authority)) != there[AUTHORITY]:
        store.write(AUTHORITY, files, there[AUTHORITY])
    wanted: dict[str, Mapping[str, bytes]] = {
        **{one.owner: _kept(there[one.owner], authority, one, now) for one in holders},
        ASKING: {TRUSTED: pem(*authority.trusted)},
    }
    for owner, files in wanted.items():
        if files != there[owner]:
            store.write(owner, files, there[owner])
            changed[owner] = None


def _authority(there: Mapping[str, Mapping[str, bytes]], now: datetime) -> Authority:
    """The one that there is, or a new one where it ends soon."""
    found = there[AUTHORITY]
    try:
        trusted = x509.load_pem_x509_certificates(found[TRUSTED]) if TRUSTED in found else []
        current = _lasting(found, trusted, now)
    except ValueError as error:
        raise CertificateError(
            f"the certificates' authority cannot be read: {error}; bring it back, or delete it to have a new one made, "
            "which nobody trusts until he has its certificate"
        ) from error
    if current is None:
        return new_authority(now, trusted)
    shown = [one for owner in (SERVER, *CALLERS) for one in _certificates(there[owner])]
    needed = [one for one in trusted if one == current.certificate or _is_needed(one, current, shown, now)]
    return replace(current, trusted=needed)


def _files(authority: Authority) -> Mapping[str, bytes]:
    return {KEY: private(authority.key), TRUSTED: pem(*authority.trusted), CERTIFICATE: pem(authority.certificate)}


def _is_needed(before: x509.Certificate, current: Authority, shown: Sequence[x509.Certificate], now: datetime) -> bool:
    """Whether a certificate of an earlier authority may still be shown: it is somebody's, or was when the present one
    was made, and is in the memory of a program that reads its files at its start.
    """
    if now < current.certificate.not_valid_before_utc + MONTHS:
        return True
    return any(issued(one, before) for one in shown)


def _certificates(files: Mapping[str, bytes]) -> list[x509.Certificate]:
    """Of an owner; none where there is none that can be read."""
    try:
        return [x509.load_pem_x509_certificate(files[CERTIFICATE])]
    except (KeyError, ValueError):
        return []


def _lasting(found: Mapping[str, bytes], trusted: Sequence[x509.Certificate], now: datetime) -> Authority | None:
    """None where it ends soon, or a first start was cut off. Raises `ValueError` for files that are not of one."""
    if not {KEY, CERTIFICATE, TRUSTED} <= set(found):
        return None
    certificate, key = x509.load_pem_x509_certificate(found[CERTIFICATE]), key_of(found[KEY])
    if is_due(certificate, now):
        return None
    if certificate.public_key() != key.public_key():
        raise ValueError("its key is not that of its certificate")
    return Authority(certificate, key, trusted)


def _kept(files: Mapping[str, bytes], authority: Authority, holder: Holder, now: datetime) -> Mapping[str, bytes]:
    """The files that `holder` should have, the same ones if they are good.

    A key counts with a certificate of an authority that is trusted: one that was revoked is never given another.
    """
    trusted = pem(*authority.trusted)
    try:
        key = key_of(files[KEY])
        current = x509.load_pem_x509_certificate(files[CERTIFICATE])
        if not authority.issued(current) or current.public_key() != key.public_key():
            raise ValueError("the key has no certificate")
        said = current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (KeyError, ValueError, x509.ExtensionNotFound):
        key = new_key()
    else:
        if said == holder.alternatives and not is_due(current, now):
            return {KEY: files[KEY], TRUSTED: trusted, CERTIFICATE: files[CERTIFICATE]}
    return {KEY: private(key), TRUSTED: trusted, CERTIFICATE: pem(authority.give(holder, key, now))}


def told(store: Store, names: Sequence[str], *, revoke: bool = False) -> None:
    """`keep`, now; says who got something new."""
    try:
        changed = keep(store, names, datetime.now(UTC), revoke=revoke)
    except CertificateError as error:
        sys.exit(f"refused: {error}")
    print(f"new certificates: {', '.join(changed) or 'none'}", flush=True)


revoking = click.option("--revoke", is_flag=True, help="Give everybody another key, and trust nothing of before.")


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, metavar="NAME…")
@revoking
def main(folder: Path, names: tuple[str, ...], revoke: bool) -> None:
    told(Folders(folder), names, revoke=revoke)


if __name__ == "__main__":
    main()

"""Bytes whose sha256 was recorded: whether they have changed since."""

import hashlib


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def demand_unaltered(body: bytes, recorded: str | None, name: str, refuse: type[Exception]) -> bytes:
    """The body. Raises `refuse`, naming the object, unless its sha256 is the recorded one."""
    if sha256(body) != recorded:
        raise refuse(f"{name} is not what was recorded (sha256 differs): it was changed since")
    return body

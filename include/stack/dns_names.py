"""Names of hosts as certificates, browsers and DNS have them."""

import re

_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def dns_name(name: str) -> str:
    """Letters that are not ASCII by their xn-- form (RFC 3490). Raises `ValueError` for what is no name of a host."""
    found = name.encode("idna").decode()
    if not _NAME.fullmatch(found):
        raise ValueError(f"{name!r} is no name of a host")
    return found

"""Ports of the loopback interface that nobody listens on."""

import random
import socket
from collections.abc import Collection, Sequence

_SAFE_PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback interface that nobody listens on."""
    found: list[int] = []
    while len(found) < count:
        found.append(free_port([], taken=found))
    return found


def free_port(wanted: Sequence[int], taken: Collection[int]) -> int:
    """A free port below Linux' range for outgoing connections, which may take one at any moment."""
    for port in (*wanted, *random.sample(_SAFE_PORTS, 100)):
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port on 127.0.0.1")


def is_free(port: int) -> bool:
    """Whether a program could listen there, on the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

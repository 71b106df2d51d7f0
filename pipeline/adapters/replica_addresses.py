"""Where the replicas are: fixed addresses, and names behind which there are as many as the fleet has just now."""

import socket
from collections.abc import Callable, Collection, Sequence

_DNS = "dns:///"

Resolve = Callable[[str, int], Sequence[str]]
"""All IP addresses of a name. Raises `OSError`."""


def resolved(host: str, port: int) -> Sequence[str]:
    """Asks the machine's resolver."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def expanded(addresses: Sequence[str], out_of_rotation: Collection[str], resolve: Resolve) -> dict[str, str]:
    """Every address to ask (`host:port`, once), and the name in its certificate if that is another one.

    A `dns:///name:port` stands for all addresses that the name has at this moment. One that cannot be resolved stays as
    it is: whoever asks it is told that it cannot be reached.
    """
    found: dict[str, str] = {}
    for address in addresses:
        host, _, port = address.removeprefix(_DNS).rpartition(":")
        if not address.startswith(_DNS) or not host or not port.isdecimal():
            found.setdefault(address, "")
            continue
        try:
            ips = sorted(set(resolve(host, int(port))))
        except OSError:
            ips = []
        for ip in ips:
            found.setdefault(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}", host)
        if not ips:
            found.setdefault(address, "")
    return {address: name for address, name in found.items() if address not in out_of_rotation}

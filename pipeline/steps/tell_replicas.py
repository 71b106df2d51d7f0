"""Metrics: how many replicas have to serve."""

from collections.abc import Collection, Iterator

from pipeline.domain.facts import Fact

_DISCOVERED = "dns:///"


def tell_replicas(addresses: Collection[str], out_of_rotation: Collection[str], *, at_least: int) -> Iterator[Fact]:
    """`at_least` 0 means as many as there are addresses; a DNS name for any number of replicas says nothing."""
    known = not any(address.startswith(_DISCOVERED) for address in addresses)
    if at_least or known:
        yield Fact("replicas_expected", (), max(0, (at_least or len(set(addresses))) - len(set(out_of_rotation))))
    for replica in out_of_rotation:
        yield Fact("replica_out_of_rotation", (replica,), 1)

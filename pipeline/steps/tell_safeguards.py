"""Metrics: when backup, log and restore test last succeeded."""

from collections.abc import Iterator
from datetime import datetime

from pipeline.domain.backups import Safeguard
from pipeline.domain.facts import Fact
from pipeline.ports.backups import Safeguards


def tell_safeguards(safeguards: Safeguards, expected_since: datetime | None) -> Iterator[Fact]:
    """`expected_since` is None where somebody else backs the databases up."""
    if expected_since is not None:
        for kind in Safeguard:
            yield Fact("safeguard_expected_timestamp_seconds", (kind,), expected_since.timestamp())
    for kind, at in safeguards.newest().items():
        yield Fact("safeguard_timestamp_seconds", (kind,), at.timestamp())

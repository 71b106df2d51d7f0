"""When what protects the databases last succeeded, as numbers for whoever watches."""

from collections.abc import Iterator

from pipeline.domain.facts import Fact
from pipeline.ports.backups import Safeguards


def tell_safeguards(safeguards: Safeguards) -> Iterator[Fact]:
    for kind, at in safeguards.newest().items():
        yield Fact("safeguard_timestamp_seconds", (kind,), at.timestamp())

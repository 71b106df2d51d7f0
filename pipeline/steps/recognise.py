"""Look at the photos of new confirmations, so that copies of one photo count once in live accuracy and in a trial."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.domain.clusters import Clusters
from pipeline.domain.dataset import Fingerprint
from pipeline.domain.errors import PhotoMissing, PhotoRefused, ServiceUnavailable
from pipeline.domain.live_accuracy import Period
from pipeline.ports.bundles import Recognition
from pipeline.steps.look_at import gives
from pipeline.steps.one_by_one import Looking, looked_at

_AT_ONCE = 200


@dataclass(frozen=True)
class Recognised:
    """How many photos were looked at, how many wait for the next look; `problem` is why storage gave out no more."""

    photos: int
    waiting: int = 0
    problem: str | None = None


def recognise(r: Recognition, period: Period, has_time: Callable[[], bool]) -> Recognised:
    """The newest first, for as long as it `has_time`. Never raises for an outage of storage: whoever watches goes on
    without. A photo that storage fails on while it delivers others counts as gone: the others go on.
    """
    # Once for each look: indexing a week of photos takes longer than looking up a few.
    clusters, photos, problem = Clusters(r.evidence.founders(period)), 0, None
    while problem is None and has_time() and (urls := r.evidence.unseen(period, limit=_AT_ONCE)):
        looked, problem = _looked_at(r, urls)
        r.evidence.recognise({url: _cluster(url, print_, clusters) for url, print_ in looked})
        photos += len(looked)
    return Recognised(photos, r.evidence.waiting(period), problem)


def _looked_at(r: Recognition, urls: Sequence[str]) -> tuple[list[tuple[str, Fingerprint]], str | None]:
    """What the first of them show; and the reason when not all were looked at."""
    looking: Looking[str, Fingerprint] = Looking(
        look=lambda url: _fingerprint(r, url),
        set_aside=lambda _, fault: Fingerprint(fault=fault),
        reads=lambda url: gives(r.photos, url),
    )
    found: list[Fingerprint] = []
    try:
        found.extend(looked_at(urls, looking))
    except ServiceUnavailable as error:
        return list(zip(urls, found, strict=False)), str(error)
    return list(zip(urls, found, strict=True)), None


def _fingerprint(r: Recognition, url: str) -> Fingerprint:
    try:
        return r.inspector.fingerprint(r.photos.read(url))
    except (PhotoMissing, PhotoRefused) as error:
        return Fingerprint(fault=str(error))


def _cluster(url: str, print_: Fingerprint, clusters: Clusters) -> str:
    """A photo that cannot be looked at is its own cluster."""
    if print_.fault:
        return f"unread {hashlib.sha256(url.encode()).hexdigest()[:16]}"
    return clusters.id_of(print_.phash)

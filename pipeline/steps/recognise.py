"""Look at the photos of new confirmations, so that copies of one photo count once in live accuracy and in a trial."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.clusters import cluster_ids
from pipeline.domain.dataset import Fingerprint
from pipeline.domain.errors import PhotoMissing, PhotoRefused, ServiceUnavailable
from pipeline.domain.live_accuracy import Period
from pipeline.ports.bundles import Recognition
from pipeline.steps.downloads import several_at_once

_AT_MOST = 200


@dataclass(frozen=True)
class Recognised:
    """How many photos were looked at; `problem` is why the others wait for the next look."""

    photos: int
    problem: str | None = None


def recognise(r: Recognition, period: Period) -> Recognised:
    """The newest first, a few at each look. Never raises for an outage of storage: whoever watches goes on without."""
    urls, problem = r.evidence.unseen(period, limit=_AT_MOST), None
    found: list[Fingerprint] = []
    try:
        found += several_at_once(lambda url: _fingerprint(r, url), urls)
    except ServiceUnavailable as error:
        problem = str(error)
    looked = list(zip(urls, found, strict=False))
    r.evidence.recognise(_clusters(looked, r.evidence.founders(period)))
    return Recognised(len(looked), problem)


def _fingerprint(r: Recognition, url: str) -> Fingerprint:
    try:
        return r.inspector.fingerprint(r.photos.read(url))
    except (PhotoMissing, PhotoRefused) as error:
        return Fingerprint(fault=str(error))


def _clusters(looked: Sequence[tuple[str, Fingerprint]], known: Sequence[int]) -> dict[str, str]:
    """Of each address its cluster; a photo that nobody can look at is one of its own."""
    usable = [(url, print_.phash) for url, print_ in looked if not print_.fault]
    clusters = cluster_ids([phash for _, phash in usable], known)
    unread = {url: f"unread {hashlib.sha256(url.encode()).hexdigest()[:16]}" for url, p in looked if p.fault}
    return {**unread, **{url: cluster for (url, _), cluster in zip(usable, clusters, strict=True)}}

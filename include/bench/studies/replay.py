"""Round after round of learning from corrections alone, or from corrections with replay (ADR 0002)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from include.bench.studies.material import LIVE, Head, Material, Numbers
from pipeline.domain.dataset import Photo
from pipeline.domain.selection import SelectionPolicy, select

ROUNDS, PHOTOS_A_ROUND, HELD_OUT, ARCHIVE_HELD_OUT = 4, 250, 400, 100
_START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = SelectionPolicy()


def run(material: Material, seed: int) -> Iterator[Mapping[str, Any]]:
    """A row for each way and round; round 0 is the first model, trained on the archive, and the same for all."""
    rng = np.random.default_rng(seed)
    live, archive = rng.permutation(material.live), rng.permutation(material.archive)
    holdout, rest = live[:HELD_OUT], live[HELD_OUT:]
    old, base = archive[:ARCHIVE_HELD_OUT], archive[ARCHIVE_HELD_OUT:]
    assert len(rest) >= ROUNDS * PHOTOS_A_ROUND <= LIVE
    batches = [rest[n * PHOTOS_A_ROUND : (n + 1) * PHOTOS_A_ROUND] for n in range(ROUNDS)]

    def judged(model: Head) -> Mapping[str, float]:
        photos = {"holdout_accuracy": holdout, "archive_accuracy": old}
        return {n: round(model.accuracy(material.images[p, 0], material.labels[p]), 4) for n, p in photos.items()}

    first = Head().fit(*material.augmented(base))
    for way in ("corrections only", "corrections of all rounds", "with replay"):
        model, seen = first, _confirmed(material, base, base, -1)
        yield {"seed": seed, "way": way, "round": 0, "corrections": 0, **judged(model)}
        for number, batch in enumerate(batches):
            wrong = batch[model.predict(material.images[batch, 0]) != material.labels[batch]]
            seen = [*seen, *_confirmed(material, batch, np.setdiff1d(batch, wrong), number)]
            chosen = _chosen(way, seen, number)
            model = Head().fit(*material.augmented(chosen))
            yield {"seed": seed, "way": way, "round": number + 1, "corrections": len(wrong), **judged(model)}


def _confirmed(material: Material, batch: Numbers, right: Numbers, number: int) -> list[Photo]:
    agreed, at = set(right.tolist()), (_START + timedelta(weeks=number)).isoformat()
    return [replace(material.photos[n], corrected=n not in agreed, confirmed_at=at) for n in batch.tolist()]


def _chosen(way: str, seen: Sequence[Photo], number: int) -> list[int]:
    """Numbers of the photos that a way trains on after this round."""
    since = _START + timedelta(weeks=number) - timedelta(seconds=1)
    if way == "with replay":
        rows: Sequence[Photo] = select(seen, POLICY, natural={p.task_id for p in seen}, since=since)
    elif way == "corrections only":
        rows = [p for p in seen if p.corrected and datetime.fromisoformat(p.confirmed_at) > since]
    else:
        rows = [p for p in seen if p.corrected]
    return [int(p.task_id.removeprefix("TASK-")) for p in rows]

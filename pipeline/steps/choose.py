"""Choose the photos of a dataset among those that were looked at, each on its side of the split (design D1, D2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.domain.clusters import cluster_ids
from pipeline.domain.dataset import Photo, Quarantined, Source, Split
from pipeline.domain.evidence import counted_once
from pipeline.domain.leakage import HeldOut, separate, without_contradictions
from pipeline.domain.selection import SelectionPolicy, select
from pipeline.ports.bundles import DataSources
from pipeline.steps.gather import Gathered
from pipeline.steps.look_at import Printed


@dataclass(frozen=True)
class Chosen:
    """Photos of the dataset, and those that were set aside with the reason."""

    photos: Sequence[Photo]
    aside: tuple[Quarantined, ...]


def choose(
    usable: Sequence[Printed],
    gathered: Gathered,
    holdout: Sequence[HeldOut],
    since: datetime | None,
    sources: DataSources,
) -> Chosen:
    policy = sources.recipe.selection
    rows = _rows(usable, policy, sources.datasets.clusters())
    agreed, contradictions = without_contradictions(rows)
    separated, near = separate(agreed, holdout)
    selected = select(separated, policy, natural=gathered.natural, since=since, missed=gathered.missed)
    chosen, repeated = counted_once(selected, {member.task_id for member in holdout})
    return Chosen(chosen, (*contradictions, *near, *repeated))


def _rows(usable: Sequence[Printed], policy: SelectionPolicy, known: Mapping[int, Split]) -> list[Photo]:
    clusters = cluster_ids([print_.phash for _, print_ in usable], known)
    sides = {f"{founder:016x}": split for founder, split in known.items()}
    return [
        Photo(
            task_id=task.task_id,
            photo_url=task.photo_url,
            sha256=print_.sha256,
            phash=f"{print_.phash:016x}",
            cluster_id=cluster,
            label=task.final_result,
            corrected=task.corrected,
            source=Source.EVALUATION,
            split=policy.split_of(cluster, sides),
            confirmed_at=task.confirmed_at.astimezone(UTC).isoformat(),
            width=print_.width,
            height=print_.height,
            brightness=print_.brightness,
            sharpness=print_.sharpness,
            ai_result=task.ai_result,
            correction_reason=task.correction_reason,
            helper_id=task.helper_id,
            reasons=policy.reasons.of(task.correction_reason) if task.corrected else (),
        )
        for (task, print_), cluster in zip(usable, clusters, strict=True)
    ]

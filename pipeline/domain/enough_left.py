"""Whether a dataset that was accepted still would be, after photos of it went."""

from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.quality import Measured, QualityPolicy, measure


def demand_enough_left(accepted: Manifest, left: Manifest, policy: QualityPolicy) -> None:
    """Raises `DatasetRefused`, which names photos that went and every bound that is passed because of them."""
    before = {one.name for one in _passed(accepted, policy)}
    if reasons := [one.sentence for one in _passed(left, policy) if one.name not in before]:
        gone = len(accepted.photos) - len(left.photos)
        raise DatasetRefused(
            f"{gone} of {len(accepted.photos)} photos of {accepted.dataset_id} went after they were collected: "
            f"{'; '.join(reasons)}; bring them back and clear this task, or start a retraining, which collects new ones"
        )


def _passed(manifest: Manifest, policy: QualityPolicy) -> list[Measured]:
    return [one for one in measure(manifest, None, 0, policy) if one.hard and not one.is_within]

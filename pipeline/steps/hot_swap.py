"""Make a registered version serve on every replica (specification, messages 35-43; design D6, D14)."""

from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Deployment
from pipeline.steps.change_champion import ChangedChampion, promote_everywhere


def hot_swap(d: Deployment, model_type: ModelType, version: str, by: By) -> ChangedChampion:
    """Deploy `version`; only its blessing says whether it may. See `Ledger.promote` and `promote_everywhere`."""
    target = d.versions.get(model_type, version)
    blessing = d.blessings.of_run(target.run_id)
    return promote_everywhere(d, model_type, lambda ledger: ledger.promote(target, blessing, by, d.clock.now()))

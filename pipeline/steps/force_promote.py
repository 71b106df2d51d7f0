"""Put a model live that verification did not accept: a person's word, kept for ever (design D13, D14)."""

import re
from dataclasses import replace

from pipeline.domain.blessing import Blessing, Override, OverrideKind
from pipeline.domain.errors import NotBlessed
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Deployment, Registration
from pipeline.steps.change_champion import ChangedChampion, promote_everywhere
from pipeline.steps.register import register


def force_promote(d: Deployment, r: Registration, model_type: ModelType, wanted: str, by: By) -> ChangedChampion:
    """Deploy `wanted`, a version or a retraining run, whatever its verdict says about quality.

    What is not skipped: a verdict must exist, its load checks must have passed, the files must be those that were
    judged, and every replica prepares the model and checks its golden predictions. Nothing is recorded of a wish that
    is refused.
    """
    run_id = d.versions.get(model_type, wanted).run_id if re.fullmatch(r"v\d+\.\d+\.\d+", wanted) else wanted
    ledger = d.transitions.ledger(model_type)
    blessing = ledger.demand_load_test(wanted, d.blessings.of_run(run_id))
    known = d.versions.of_run(run_id)
    ledger.demand_forcible(known.version if known else None, by)
    version = _registered(d, r, model_type, blessing, by)
    return promote_everywhere(d, model_type, lambda ledger: ledger.force(version, blessing, by, d.clock.now()))


def _registered(d: Deployment, r: Registration, model_type: ModelType, blessing: Blessing, by: By) -> ModelVersion:
    result = r.runs.result(blessing.run_id)
    if result is None or result.manifest_sha256 != blessing.artifact_manifest_sha256:
        raise NotBlessed(f"the verdict on run {blessing.run_id} is about other files than those trained")
    d.blessings.override(Override(blessing.run_id, OverrideKind.FORCED, by.actor, by.reason, d.clock.now()))
    tags = {**r.tags, "forced_by": by.actor, "forced_because": by.reason}
    return register(replace(r, tags=tags), model_type, result)

"""Put a model live that verification did not accept: a person's word, kept for ever (design D13, D14)."""

import re
from contextlib import ExitStack

from pipeline.domain.errors import NotBlessed
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.training import TrainingResult
from pipeline.domain.transitions import By, ChampionChange
from pipeline.ports.bundles import Deployment, Registration
from pipeline.steps.change_champion import ChangedChampion, promote_everywhere
from pipeline.steps.register import manifest_of, numbered, show_in_registry


def force_promote(d: Deployment, r: Registration, model_type: ModelType, wanted: str, by: By) -> ChangedChampion:
    """Deploy `wanted`, a version or a retraining run, whatever its verdict says about quality.

    What is not skipped: a verdict must exist, its load checks must have passed, the files must be those that were
    judged, and every replica prepares the model and checks its golden predictions. A refused request leaves no number.
    The override is stored in the same transaction in which the log says that the model serves, so that a model that did
    not go live can still be approved.
    """
    run_id = d.versions.get(model_type, wanted).run_id if re.fullmatch(r"v\d+\.\d+\.\d+", wanted) else wanted
    ledger = d.transitions.ledger(model_type)
    blessing = ledger.demand_load_test(wanted, d.blessings.of_run(run_id))
    _demand_forcible(d, ledger, run_id, by)
    with ExitStack() as files:
        # Pruning deletes the files of refused runs; the lock keeps it from doing so between the look at them and the
        # number.
        files.enter_context(d.transitions.moving_files(model_type))
        result = _judged(r, run_id, blessing.artifact_manifest_sha256)
        manifest = manifest_of(r, result)

        def decide(ledger: Ledger) -> ChampionChange:
            known = _demand_forcible(d, ledger, run_id, by)
            return ledger.force(known or numbered(r, model_type, result), blessing, by, d.clock.now())

        def ready(target: ModelVersion) -> None:
            files.close()
            show_in_registry(r, target, result, manifest)

        return promote_everywhere(d, model_type, decide, ready)


def _demand_forcible(d: Deployment, ledger: Ledger, run_id: str, by: By) -> ModelVersion | None:
    """The run's version, None while it has no number."""
    known = d.versions.of_run(run_id)
    ledger.demand_forcible(known.version if known else None, by)
    return known


def _judged(r: Registration, run_id: str, manifest_sha256: str) -> TrainingResult:
    result = r.runs.result(run_id)
    if result is None or result.manifest_sha256 != manifest_sha256:
        raise NotBlessed(f"the verdict on run {run_id} is about other files than those trained")
    return result

"""A version that training made and verification accepted, in tables, registry and store, as a retraining leaves it."""

from pipeline.domain.models import Artifact, ModelType
from tests.builders import a_model_version
from tests.contract.test_tables import Tables, a_blessing, a_completed_dataset


def accepted_version(tables: Tables, registry, version: str, artifact: Artifact, **verdict):
    """Register `version`; `verdict` replaces fields of its blessing, which is one against the champion of now."""
    run_id = f"run-of-{version}"
    dataset = a_completed_dataset(tables, run_id)
    row = a_model_version(version, artifact=artifact, dataset_id=dataset.id)
    tables.versions.register(row)
    registry.register(row, None)
    values = {
        "accepted": True,
        "reasons": (),
        "champion_version": tables.transitions.ledger(ModelType.LAUNDRY).champion,
        "artifact_manifest_sha256": artifact.manifest_sha256,
        **verdict,
    }
    tables.blessings.grant(a_blessing(run_id, **values), None)
    return version

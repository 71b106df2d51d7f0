"""Tell whoever erases a photo which models it shaped."""

import json

from pipeline.domain.artifact_folder import GOLDEN_SOURCE, ArtifactFolder
from pipeline.domain.dataset import Split
from pipeline.domain.lineage import ROLES, Appearance, Erasure, runs_of
from pipeline.ports.bundles import Forgetting


def list_models(row: Appearance, forgetting: Forgetting, found: Erasure) -> None:
    """Lists the models of every run on the dataset; they are kept."""
    f = forgetting
    for run_id in runs_of(row.run_id, f.runs.on(row.dataset_id)):
        if (version := f.versions.of_run(run_id)) is None:
            continue
        found.models.append(f"{version.model_type} {version.version} {ROLES[row.split]} it")
        if row.split is Split.VALIDATION and _may_show_photos(f, ArtifactFolder(version.artifact.uri)):
            found.left.append(f"{version.artifact.uri} may hold it, 224 pixels wide, among its golden samples")


def _may_show_photos(forgetting: Forgetting, model: ArtifactFolder) -> bool:
    """Whether the model's golden samples may show people's photos, as in earlier releases."""
    if not forgetting.objects.exists(model.manifest):
        return True
    return GOLDEN_SOURCE not in json.loads(forgetting.objects.read(model.manifest)).get("extra", {})

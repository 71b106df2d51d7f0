"""What the next dataset is chosen by: how far the champion has learned, and what it forgot."""

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.learned import Learned
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Records
from pipeline.steps.kept_evidence import earlier_answers
from pipeline.steps.look_up import champion


def learned_by_champion(records: Records, model_type: ModelType) -> Learned:
    """Corrections after `through` are new. Without answers where the champion was never asked."""
    serving = champion(model_type, records.transitions, records.versions)
    if serving is None:
        return Learned()
    through = records.datasets.get(serving.dataset_id).corrections_through
    return Learned(through, earlier_answers(ArtifactFolder(serving.artifact.uri), records.objects))

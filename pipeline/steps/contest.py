"""Who is compared on what: the candidate of a run, and the champion it has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Manifest, Photo, Split
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.ports.bundles import Records
from pipeline.steps.look_up import champion, manifest_of, served_before, trained


@dataclass(frozen=True)
class Contest:
    """`champion` is None for the first model; `manifest` has the photos both are asked about; `earlier` served before
    the champion, the one that served last first.
    """

    run_id: str
    model_type: ModelType
    candidate: Artifact
    champion: ModelVersion | None
    manifest: Manifest
    earlier: Sequence[ModelVersion] = ()

    @property
    def folder(self) -> ArtifactFolder:
        """Where the candidate lies, and the evidence about it."""
        return ArtifactFolder(self.candidate.uri)

    @property
    def by_task(self) -> dict[str, Photo]:
        """The photos to judge by."""
        judging = (*self.manifest.natural, *self.manifest.of(Split.HELD_OUT_CORRECTIONS))
        return {photo.task_id: photo for photo in judging}

    @property
    def champion_version(self) -> str | None:
        return self.champion.version if self.champion else None


def contest_of(records: Records, run_id: str) -> Contest:
    """The run's candidate beside the champion of this moment. What the dataset was made without, because it went after
    it was frozen, judges nobody: how much of that may go was asked then, before anything was trained.
    """
    result, dataset = trained(records, run_id)
    lost = records.datasets.set_aside(dataset.id)
    model_type = ModelType(dataset.model_type)
    return Contest(
        run_id=run_id,
        model_type=model_type,
        candidate=Artifact(result.artifact_uri, result.manifest_sha256),
        champion=champion(model_type, records.transitions, records.versions),
        manifest=manifest_of(records, dataset.id).setting_aside(lost),
        earlier=served_before(model_type, records.transitions, records.versions),
    )

"""Give an accepted face model its number (specification, messages 31-34)."""

from pipeline.domain.blessing import Blessing
from pipeline.domain.errors import NotBlessed
from pipeline.domain.faces.gate import FaceCheck
from pipeline.domain.faces.identities import Side
from pipeline.domain.models import ModelType, ModelVersion, VersionNumber
from pipeline.domain.numbering import next_major, next_number, next_patch
from pipeline.ports.faces import FaceMaking
from pipeline.steps.faces.learn import Candidate, serving_head
from pipeline.steps.look_up import champion


def register(making: FaceMaking, candidate: Candidate) -> ModelVersion:
    """The run's version, the same one again for the same run. Raises `NotBlessed`."""
    r = making.registration
    blessing = r.blessings.of_run(candidate.run_id)
    if blessing is None or not blessing.may_be_registered:
        raise NotBlessed(f"run {candidate.run_id} was not accepted by verification: it cannot be registered")
    version = r.versions.of_run(candidate.run_id) or r.versions.register(_version(making, candidate, blessing))
    told = {"threshold": f"{candidate.head.threshold:.4f}", "head": candidate.head.way}
    people = {f"people_{side}": str(candidate.dataset.people(side)) for side in Side}
    r.registry.register(version, None, {**told, **people, **r.tags})
    return version


def _version(making: FaceMaking, candidate: Candidate, blessing: Blessing) -> ModelVersion:
    # For faces, accuracy is how often the right person is let in at the threshold that is served.
    tar = next(check.value for check in blessing.checks if check.name == FaceCheck.TAR)
    assert tar is not None
    return ModelVersion(
        version=str(_number(making, candidate)),
        model_type=ModelType.FACE,
        run_id=candidate.run_id,
        dataset_id=candidate.dataset_id,
        backbone=candidate.backbone,
        artifact=candidate.artifact,
        accuracy=tar,
        val_accuracy=candidate.head.score,
        trained_at=making.clock.now(),
    )


def _number(making: FaceMaking, candidate: Candidate) -> VersionNumber:
    """Another base network, even under the same name, makes a major version; another head a minor one; another
    threshold alone a patch.
    """
    r = making.registration
    serving, registered = champion(ModelType.FACE, r.transitions, r.versions), r.versions.all(ModelType.FACE)
    before = serving_head(making)
    if serving is not None and before is None:
        return next_major(registered)
    if serving is not None and before is not None and before.matrix == candidate.head.matrix:
        return next_patch(serving, registered)
    return next_number(candidate, registered, serving, retried=False)

"""Move old versions' model files to the archive, and only what the archive was seen to have (specification §11)."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.domain.artifact_folder import MANIFEST
from pipeline.domain.errors import GiveUp, ServiceUnavailable
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.retention import RetentionPlan, RetentionPolicy, archive_uri, demand_whole, listed_files
from pipeline.domain.transitions import Archive, By, Entry, Phase
from pipeline.ports.bundles import Keeping


@dataclass(frozen=True)
class Retired:
    """`archived` is empty in a dry run, and otherwise has what the same request archived before, too; `failed` maps
    versions to why they stayed.
    """

    plan: RetentionPlan
    archived: tuple[str, ...]
    failed: Mapping[str, str]


def plan_retirement(k: Keeping, model_type: ModelType, policy: RetentionPolicy) -> RetentionPlan:
    """What would be archived, and why the others stay.

    Raises `ServiceUnavailable` without an answer of every replica: unless it is known what serves, nothing may move.
    """
    return _planned(k, k.transitions.ledger(model_type), policy)


def retire(k: Keeping, model_type: ModelType, policy: RetentionPolicy, by: By, archive_prefix: str) -> Retired:
    """Archive what the policy selects; a version whose files are not what they should be stays as it is.

    Reports beside the model (verdict, predictions) are evidence and stay where they are. Raises as `plan_retirement`.
    """
    planned = plan_retirement(k, model_type, policy)
    archived = _archived_before(k.transitions.ledger(model_type), by)
    failed: dict[str, str] = {}
    for version in planned.archive:
        row = k.versions.get(model_type, version)
        try:
            _copy(k, row.artifact, archive_uri(archive_prefix, row.artifact))
        except (GiveUp, KeyError) as error:
            # The other versions go on.
            failed[version] = f"it stays where it is: {error}"
            continue
        if _archive(k, row, policy, by):
            archived.append(version)
    for row in k.versions.all(model_type):
        try:
            _remove_archived(k, row)
        except (GiveUp, KeyError) as error:
            failed[row.version] = f"its files stay beside the archive's: {error}"
    return Retired(planned, tuple(archived), failed)


def _archived_before(ledger: Ledger, by: By) -> list[str]:
    acts = [entry.act for entry in ledger.facts if isinstance(entry.act, Archive)]
    return [act.version for act in acts if act.by.request_id == by.request_id]


def _archive(k: Keeping, row: ModelVersion, policy: RetentionPolicy, by: By) -> bool:
    """Copying took a while: a version that is needed by now stays."""
    with k.transitions.exclusive(row.model_type):
        ledger = k.transitions.ledger(row.model_type)
        if row.version not in _planned(k, ledger, policy).archive:
            return False
        gone = ledger.retire(row.version, by, k.clock.now())
        if ledger.done(gone.id):
            # Somebody restored it since, and a request acts only once.
            return False
        k.transitions.append(ledger, Entry(Phase.NOTED, gone, gone.at))
    return True


def _planned(k: Keeping, ledger: Ledger, policy: RetentionPolicy) -> RetentionPlan:
    at_hand = [row for row in k.versions.all(ledger.model_type) if row.version not in ledger.archived]
    if not at_hand:
        # Where there are no versions of the type, no replica has to answer.
        return policy.select((), {})
    protected: dict[str, str] = {}
    for serving in k.fleet.serving(ledger.model_type):
        if serving.fault:
            raise ServiceUnavailable("faceserve", f"{serving.replica} {serving.fault}: what it serves must not move")
        protected |= {v: f"kept warm by {serving.replica}" for v in (serving.previous,) if v}
        protected |= {v: f"served by {serving.replica}" for v in (serving.version,) if v}
    if (claim := k.runs.claim(ledger.model_type)) and (made := k.versions.of_run(claim.run_id)):
        protected[made.version] = f"made by the running retraining {claim.run_id}"
    return policy.select(at_hand, {**protected, **ledger.needed})


def _copy(k: Keeping, artifact: Artifact, destination: str) -> None:
    manifest = k.objects.read(f"{artifact.uri}{MANIFEST}")
    for path, sha256 in listed_files(manifest, artifact.manifest_sha256).items():
        k.archive.keep(f"{destination}{path}", demand_whole(path, k.objects.read(f"{artifact.uri}{path}"), sha256))
    k.archive.keep(f"{destination}{MANIFEST}", manifest)


def _remove_archived(k: Keeping, row: ModelVersion) -> None:
    """The manifest goes last: while it is there, a removal that was interrupted can be finished. What is being restored
    stays.
    """
    manifest_uri = f"{row.artifact.uri}{MANIFEST}"
    with k.transitions.moving_files(row.model_type):
        ledger = k.transitions.ledger(row.model_type)
        restoring = any(act.version == row.version for act in ledger.open_intents)
        if row.version not in ledger.archived or restoring or not k.objects.exists(manifest_uri):
            return
        for path in listed_files(k.objects.read(manifest_uri), row.artifact.manifest_sha256):
            k.objects.delete(f"{row.artifact.uri}{path}")
        k.objects.delete(manifest_uri)

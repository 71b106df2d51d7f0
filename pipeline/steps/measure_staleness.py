"""Earlier versions on the newest photos, beside candidate and champion: what staleness costs, for the report."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Photo
from pipeline.domain.errors import ModelRefused, TryAgain
from pipeline.domain.models import ModelVersion
from pipeline.domain.staleness import OnNewest, StalenessPolicy, on_newest
from pipeline.ports.bundles import Verification
from pipeline.steps.ask_models import ask
from pipeline.steps.contest import Contest
from pipeline.steps.kept_evidence import candidate_said, champion_said, predictions


def measure_staleness(verification: Verification, contest: Contest, policy: StalenessPolicy) -> None:
    """Kept beside the artifact. It decides nothing, so nothing that it meets stops a run: a version that cannot be
    asked stands there with the reason. After `verify_accuracy`, whose answers it uses; after the verdict the evidence
    stays as it is.
    """
    v, folder = verification, ArtifactFolder(contest.candidate.uri)
    kept = {} if v.blessings.of_run(contest.run_id) else predictions(folder, v.objects)
    answered = {one.task_id for one in candidate_said(kept)}
    photos = policy.newest([photo for photo in contest.manifest.natural if photo.task_id in answered])
    if not photos:
        return
    found = [on_newest(None, photos, candidate_said(kept))]
    if contest.champion is not None and (theirs := champion_said(kept)):
        found.append(on_newest(contest.champion, photos, theirs))
    found += [_asked(v, contest, version, photos) for version in contest.earlier[: policy.versions]]
    body = json.dumps([asdict(one) for one in found], ensure_ascii=False).encode()
    v.objects.write(folder.staleness, body, "application/json")


def _asked(v: Verification, contest: Contest, version: ModelVersion, photos: Sequence[Photo]) -> OnNewest:
    try:
        with v.trials.serve(contest.model_type, version.version, version.artifact) as trial:
            return on_newest(version, photos, ask(trial, photos, v.photos).said)
    except (ModelRefused, TryAgain) as error:
        return on_newest(version, photos, (), str(error))

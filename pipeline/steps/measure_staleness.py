"""Earlier versions on the newest photos, beside candidate and champion: what staleness costs, for the report."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.domain.dataset import Photo
from pipeline.domain.errors import ModelRefused, TryAgain
from pipeline.domain.models import ModelVersion
from pipeline.domain.staleness import OnNewest, StalenessPolicy, on_newest
from pipeline.ports.bundles import Verification
from pipeline.steps.ask_models import ask
from pipeline.steps.contest import Contest
from pipeline.steps.deciding_nothing import deciding_nothing
from pipeline.steps.kept_evidence import candidate_said, champion_said, predictions


@deciding_nothing("how earlier versions do on the newest photos", otherwise=None)
def measure_staleness(verification: Verification, contest: Contest, policy: StalenessPolicy) -> None:
    """Kept beside the artifact; a version that cannot be asked stands there with the reason. After `verify_accuracy`,
    whose answers it uses; after the verdict the evidence stays as it is.
    """
    v, folder = verification, contest.folder
    kept = {} if v.blessings.of_run(contest.run_id) else predictions(folder, v.objects)
    answered = {one.task_id for one in candidate_said(kept)}
    photos = policy.newest([photo for photo in contest.manifest.natural if photo.task_id in answered])
    if not photos:
        return
    found = [on_newest(None, photos, candidate_said(kept))]
    if contest.champion is not None and (theirs := champion_said(kept)):
        found.append(on_newest(contest.champion, photos, theirs))
    found += _earlier(v, contest, policy, photos)
    body = json.dumps([asdict(one) for one in found], ensure_ascii=False).encode()
    v.objects.write(folder.staleness, body, "application/json")


def _earlier(v: Verification, contest: Contest, policy: StalenessPolicy, photos: Sequence[Photo]) -> Sequence[OnNewest]:
    """All versions share one server: here answers count, not speed."""
    versions = contest.earlier[: policy.versions]
    if not versions:
        return []
    try:
        with v.trials.start(contest.model_type) as server:

            def asked(version: ModelVersion) -> OnNewest:
                try:
                    trial = server.load(version.version, version.artifact)
                    return on_newest(version, photos, ask(trial, photos, v.photos).said)
                except (ModelRefused, TryAgain) as error:
                    return on_newest(version, photos, (), str(error))

            return [asked(version) for version in versions]
    except (ModelRefused, TryAgain) as error:
        return [on_newest(version, photos, (), str(error)) for version in versions]

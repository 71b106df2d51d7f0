"""How fast a candidate answers, and whether it loads at all (specification, messages 20-26; design D3)."""

from pipeline.domain.checks import Check, PerformanceMeasurement
from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, ModelRefused
from pipeline.domain.models import Artifact
from pipeline.domain.verification import refused_to_load
from pipeline.ports.bundles import Verification
from pipeline.steps.ask_models import Asked, fetched
from pipeline.steps.contest import Contest

_PHOTOS = 32


def verify_performance(verification: Verification, contest: Contest) -> tuple[Check, ...]:
    """The candidate in a private server, asked again and again with real photos; the champion too if it is slow.

    Cleared after the verdict, it measures nothing and gives the verdict's checks.
    """
    v = verification
    if (blessing := v.blessings.of_run(contest.run_id)) is not None:
        return tuple(blessing.checks)
    asked = fetched(contest.manifest.of(Split.VALIDATION)[:_PHOTOS], v.photos)
    if not asked.bodies:
        raise DatasetRefused(f"{contest.manifest.dataset_id} has no validation photos to ask the model about")
    try:
        measured = _measured(v, contest, contest.run_id, contest.candidate, asked)
        champion = _champion(v, contest, asked) if v.policy.too_slow(measured) else None
        if champion is not None and not v.policy.too_slow(champion):
            # The machine manages it now, and perhaps was busy before.
            measured = _measured(v, contest, contest.run_id, contest.candidate, asked)
    except ModelRefused as error:
        judged: tuple[Check, ...] = (refused_to_load(str(error), contest.champion_version),)
    else:
        judged = v.policy.judge_performance(measured, champion)
    v.checks.save(contest.run_id, "performance", judged)
    return judged


def _measured(
    v: Verification, contest: Contest, version: str, artifact: Artifact, asked: Asked
) -> PerformanceMeasurement:
    with v.trials.serve(contest.model_type, version, artifact) as trial:
        return trial.measure(asked.bodies, requests=v.load_test.requests, concurrency=v.load_test.concurrency)


def _champion(v: Verification, contest: Contest, asked: Asked) -> PerformanceMeasurement | None:
    """The champion's figures in these minutes: what the machine can do. None without a champion that can be asked."""
    if contest.champion is None:
        return None
    try:
        return _measured(v, contest, contest.champion.version, contest.champion.artifact, asked)
    except ModelRefused:
        return None

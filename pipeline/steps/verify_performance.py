"""How fast a candidate answers, and whether it loads at all (specification, messages 20-26; design D3)."""

from pipeline.domain.checks import Check
from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, ModelRefused
from pipeline.domain.verification import refused_to_load
from pipeline.ports.bundles import Verification
from pipeline.steps.ask_models import fetched
from pipeline.steps.contest import Contest

_PHOTOS = 32


def verify_performance(verification: Verification, contest: Contest) -> tuple[Check, ...]:
    """The candidate alone in a private server, asked again and again with real photos.

    Cleared after the verdict, it measures nothing and gives the verdict's checks.
    """
    v = verification
    if (blessing := v.blessings.of_run(contest.run_id)) is not None:
        return tuple(blessing.checks)
    asked = fetched(contest.manifest.of(Split.VALIDATION)[:_PHOTOS], v.photos)
    if not asked.bodies:
        raise DatasetRefused(f"{contest.manifest.dataset_id} has no validation photos to ask the model about")
    try:
        with v.trials.serve(contest.model_type, contest.run_id, contest.candidate) as trial:
            measured = trial.measure(asked.bodies, requests=v.load_test.requests, concurrency=v.load_test.concurrency)
    except ModelRefused as error:
        judged: tuple[Check, ...] = (refused_to_load(str(error), contest.champion_version),)
    else:
        judged = v.policy.judge_performance(measured)
    v.checks.save(contest.run_id, "performance", judged)
    return judged

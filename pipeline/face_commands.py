"""Commands about face models."""

import time
from typing import Any

import click

from include.contract.arguments import FiniteRange
from include.contract.log_lines import tell
from pipeline.bootstrap import GiveUp
from pipeline.bootstrap.faces import FacePipeline
from pipeline.claimed_run import under_claim
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Asker, RunOutcome
from pipeline.people_commands import publishing, show

# How often people hear how many photos are looked at.
_PHOTOS = 100


@click.command("face-model")
@click.argument("photos", metavar="FOLDER_OR_S3_PREFIX")
@click.option("--run-id", required=True, help="Names this making; the same one again goes on.")
@click.option("--actor", default="command line", show_default=True, help="Who asks; kept in the transition log.")
def face_model(photos: str, run_id: str, actor: str) -> None:
    """Make a face model of photos of people, and serve it: collect, learn, judge, register, hot swap.

    The folder, of this machine or such as s3://bucket/people/, has a folder for each person, named as that person is
    enrolled, with two or more photos of one face each. Exit status 1 when the model was refused, or waits for a person.

    The monitor takes down a model that is surely bad, and `roll-back --model-type FACE` any.
    """
    pipeline = FacePipeline.from_env()
    counts = pipeline.collect_folder(run_id, photos, _print_photo)
    with publishing(pipeline):
        outcome, shown = _judge_and_serve(pipeline, run_id, counts, actor)
    show(shown)
    _demand_deployed(run_id, outcome, shown)


@click.command("face-retraining")
@click.option("--run-id", help="Names this retraining; the same one again goes on.  [default: made of the time]")
@click.option("--force", "forced_by", metavar="WHO", help="Retrain whatever the backlog; WHO is recorded.")
def face_retraining(run_id: str | None, forced_by: str | None) -> None:
    """The face model again, of what people confirmed at doors: due? collect, learn, judge, register, hot swap.

    What the champion has learned from comes along. Exit status 1 when a model was learned and does not serve: it was
    refused, or waits for a person.
    """
    pipeline, run_id = FacePipeline.from_env(), run_id or f"faces-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"

    def work() -> tuple[RunOutcome, dict[str, Any]]:
        counts = pipeline.collect(run_id, _print_photo)
        outcome, shown = _judge_and_serve(pipeline, run_id, counts, forced_by or "command line")
        return outcome, {"run_id": run_id, **shown}

    done = under_claim(pipeline, run_id, ModelType.FACE, Asker("command line", forced_by, by_hand=True), work)
    if done is not None:
        _demand_deployed(run_id, *done)


@click.command("face-learn")
@click.option("--run-id", required=True, help="Names the retraining; the same one again goes on.")
def face_learn(run_id: str) -> None:
    """Collect what people confirmed at doors and learn a candidate of it: what a retraining needs TensorFlow for.

    A retraining of that run then finds both done. Nothing is judged, registered or put live.
    """
    pipeline = FacePipeline.from_env()
    show({**pipeline.collect(run_id, _print_photo), **pipeline.learn(run_id)})


def _judge_and_serve(
    pipeline: FacePipeline, run_id: str, counts: dict[str, Any], actor: str
) -> tuple[RunOutcome, dict[str, Any]]:
    for one in pipeline.set_aside(run_id):
        tell(f"set aside: {one}")
    learned = pipeline.learn(run_id)
    tell(f"head: {learned['head']}, threshold {learned['threshold']:.4f}")
    verdict = pipeline.judge(run_id)
    shown: dict[str, Any] = {**counts, **learned, **verdict}
    if not verdict["accepted"]:
        return RunOutcome.HELD if verdict["held"] else RunOutcome.REFUSED, shown
    version = pipeline.register(run_id)
    return RunOutcome.DEPLOYED, {**shown, **pipeline.hot_swap(ModelType.FACE, version, actor, f"run {run_id}", run_id)}


def _demand_deployed(run_id: str, outcome: RunOutcome, shown: dict[str, Any]) -> None:
    if outcome is not RunOutcome.DEPLOYED:
        said = "waits for a person" if outcome is RunOutcome.HELD else "was refused"
        raise GiveUp(f"the model of run {run_id} {said}: {'; '.join(shown['reasons'])}")


def _print_photo(done: int, of: int) -> None:
    if done % _PHOTOS < 32 or done == of:
        tell(f"photos: {done}/{of}")


@click.command("face-rates")
@click.option("--days", type=FiniteRange(0, 3650, min_open=True), default=7, show_default=True, help="How far back.")
def face_rates(days: float) -> None:
    """How often people were wrongly refused and wrongly let in, as others confirmed; one JSON object a version.

    `wrongly_refused` is of checks that showed the person, `wrongly_accepted` of those let in that somebody looked at.
    `low` and `high` are a 95 % interval that counts people, not checks.
    """
    for row in FacePipeline.from_env().rates(days):
        show(row)


@click.command("erase-person")
@click.argument("name")
@click.option("--actor", required=True, help="Who asks.")
@click.option("--reason", required=True, help="Why; kept.")
@click.confirmation_option(prompt="What is known of the person's face is gone for ever. Go on?", help="Do not ask.")
def erase_person(name: str, actor: str, reason: str) -> None:
    """Forget a person's face: galleries, vectors, datasets, future selections; lists what it touched."""
    show(FacePipeline.from_env().erase_person(name, actor=actor, reason=reason))


FACE_COMMANDS = (face_model, face_retraining, face_learn, face_rates, erase_person)

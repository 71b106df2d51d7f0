"""Commands about face models, which nobody retrains or watches yet."""

from typing import Any

import click

from include.contract.log_lines import tell
from pipeline.bootstrap import GiveUp
from pipeline.bootstrap.faces import FacePipeline
from pipeline.domain.models import ModelType
from pipeline.people_commands import publish_soon, show

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

    Nobody watches a face model, and nothing retrains it: `roll-back --model-type FACE` takes it down.
    """
    pipeline = FacePipeline.from_env()
    dataset = pipeline.collect(run_id, photos, _print_photo)
    counts = pipeline.counts(dataset)
    for one in dataset.set_aside:
        tell(f"set aside: {one.name}: {one.reason}")
    candidate = pipeline.learn(run_id, dataset)
    tell(f"head: {candidate.head.way}, threshold {candidate.head.threshold:.4f}")
    verdict = pipeline.judge(candidate)
    shown: dict[str, Any] = {**counts, **verdict, "threshold": candidate.head.threshold}
    if not verdict["accepted"]:
        show(shown)
        publish_soon(pipeline)
        said = "waits for a person" if verdict["held"] else "was refused"
        raise GiveUp(f"the model of run {run_id} {said}: {'; '.join(verdict['reasons'])}")
    version = pipeline.register(candidate)
    swapped = pipeline.hot_swap(ModelType.FACE, version, actor, f"run {run_id}", run_id)
    show({**shown, **swapped})
    publish_soon(pipeline)


def _print_photo(done: int, of: int) -> None:
    if done % _PHOTOS < 32 or done == of:
        tell(f"photos: {done}/{of}")


@click.command("face-rates")
@click.option(
    "--days", type=click.FloatRange(0, 3650, min_open=True), default=7, show_default=True, help="How far back."
)
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


FACE_COMMANDS = (face_model, face_rates, erase_person)

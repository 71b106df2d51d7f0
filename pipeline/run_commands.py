"""Commands that go through a whole retraining in one process: the loop, and the first model."""

import time
from collections.abc import Callable
from typing import Any

import click

from include.contract.log_lines import tell
from pipeline.bootstrap import GiveUp, Pipeline
from pipeline.claimed_run import under_claim
from pipeline.domain.retraining import Asker, RunOutcome
from pipeline.domain.training import Epoch
from pipeline.people_commands import model_option

run_option = click.option("--run-id", required=True, help="Names one retraining; keys everything it writes.")
# How often people hear how many photos are copied.
_PHOTOS = 100

Collect = Callable[[Pipeline], str]


@click.command()
@run_option
@model_option
@click.option("--force", "forced_by", metavar="WHO", help="Retrain whatever the backlog; WHO is recorded.")
def retrain(run_id: str, model_type: str, forced_by: str | None) -> None:
    """The whole loop in one process: due? collect … hot swap. A run that failed goes on.

    Exit status 1 when a model was trained and does not serve: it was refused, or waits for a person.
    """
    asker = Asker("command line", forced_by, by_hand=True)
    _through(run_id, model_type, asker, lambda p: p.collect(run_id, model_type))


@click.command("first-model")
@click.argument("photos", metavar="FOLDER_OR_S3_PREFIX")
@model_option
@click.option("--run-id", help="Names this training; another one after a refusal.  [default: first-laundry]")
@click.option("--actor", default="command line", show_default=True, help="Who asks; kept in the transition log.")
def first_model(photos: str, model_type: str, run_id: str | None, actor: str) -> None:
    """Make and serve v1.0.0 of labelled photos, where no model is yet: prepare, train, verify, register, hot swap.

    The folder, of this machine or such as s3://bucket/photos/, has a folder for each label (양호 and 불량, or good and
    defective), or a labels.csv with the columns photo and label. Killed and run again, it goes on. Exit status 1 when
    the model was refused: the last lines say why, and where the report is.
    """
    run_id = run_id or f"first-{model_type.lower()}"
    asker = Asker("command line", actor, by_hand=True)
    _through(run_id, model_type, asker, lambda p: p.collect_first(run_id, model_type, photos, _print_photo))


def _through(run_id: str, model_type: str, asker: Asker, collect: Collect) -> None:
    pipeline = Pipeline.from_env()
    done = under_claim(
        pipeline, run_id, model_type, asker, lambda: _train_and_serve(pipeline, run_id, model_type, asker, collect)
    )
    if done is not None and done[0] is not RunOutcome.DEPLOYED:
        raise GiveUp(_why_it_does_not_serve(run_id, *done))


def _why_it_does_not_serve(run_id: str, outcome: RunOutcome, verdict: dict[str, Any]) -> str:
    """With what to do about it, and where its report is."""
    said = f"the model of run {run_id} was {outcome}: {'; '.join(verdict['reasons'])}"
    advice = f". What may help: {verdict['advice']}" if verdict["advice"] else ""
    return f"{said}{advice}. Report: {verdict['report_url'] or verdict['report_uri']}"


def _train_and_serve(
    pipeline: Pipeline, run_id: str, model_type: str, asker: Asker, collect: Collect
) -> tuple[RunOutcome, dict[str, Any]]:
    seconds: dict[str, float] = {}

    def timed(stage: str, call: Callable[[], Any]) -> Any:
        started = time.monotonic()
        value = call()
        seconds[stage] = round(time.monotonic() - started, 2)
        tell(f"{stage}: {seconds[stage]} s")
        return value

    dataset_id = timed("collect", lambda: collect(pipeline))
    timed("validate", lambda: pipeline.validate(dataset_id))
    timed("augment", lambda: [pipeline.augment_slice(dataset_id, index) for index in pipeline.slices(dataset_id)])
    counts = pipeline.assemble(run_id, dataset_id)
    timed("train", lambda: pipeline.train(run_id, dataset_id, print_epoch))
    timed("verify", lambda: (pipeline.verify_accuracy(run_id), pipeline.verify_performance(run_id)))
    verdict = pipeline.decide(run_id)
    if not verdict["accepted"]:
        outcome = RunOutcome.HELD if verdict["held"] else RunOutcome.REFUSED
        return outcome, {**counts, **verdict, "stage_seconds": seconds}
    version = timed("register", lambda: pipeline.register(run_id))
    who = asker.forced_by or asker.by
    swapped = timed("hot_swap", lambda: pipeline.hot_swap(model_type, version, who, f"run {run_id}", run_id))
    return RunOutcome.DEPLOYED, {**counts, **verdict, **swapped, "stage_seconds": seconds}


def print_epoch(epoch: Epoch) -> None:
    tell(
        f"{epoch.phase} epoch {epoch.number}/{epoch.of}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
        f"val_loss {epoch.val_loss:.4f}  val_accuracy {epoch.val_accuracy:.4f}  "
        f"rate {epoch.learning_rate:g}  {epoch.memory_mb:.0f} MB  {epoch.eta_seconds:.0f} s left at most",
    )


def _print_photo(done: int, of: int) -> None:
    if done % _PHOTOS == 0 or done == of:
        tell(f"photos: {done}/{of} copied")


RUN_COMMANDS = (retrain, first_model)

"""`python -m pipeline`: every step but a canary's start and promotion; the training pod runs `train`."""

import sys
from datetime import UTC, datetime
from typing import Any

import click

from include.contract.arguments import FiniteRange
from include.contract.log_lines import tell, write_lines
from pipeline.backup_commands import BACKUP_COMMANDS
from pipeline.bootstrap import (
    BACKBONES,
    MAX_EPOCHS,
    Asker,
    GiveUp,
    Pipeline,
    RegistryBehind,
    RollbackRequest,
    TrainingInterrupted,
    TryAgain,
    end_on_sigterm,
)
from pipeline.bootstrap.settings_at_start import log_format, unknown_settings
from pipeline.face_commands import FACE_COMMANDS
from pipeline.people_commands import (
    PEOPLE_COMMANDS,
    demand_every_replica,
    model_option,
    new_request,
    not_everywhere,
    publishing,
    served_option,
    show,
)
from pipeline.run_commands import RUN_COMMANDS, print_epoch, run_option

_EXIT_GIVE_UP = 1
_EXIT_NOT_EVERYWHERE = 3
_EXIT_TRY_AGAIN = 75  # sysexits.h EX_TEMPFAIL: the same command may succeed later

_dataset = click.option("--dataset-id", required=True, help="As printed by collect, e.g. DS-2026-001.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Continuous retraining, step by step. Settings are RETRAIN_* variables (see README)."""
    write_lines(log_format())
    for sentence in unknown_settings():
        tell(sentence)


@main.command()
@click.option("--limit", type=click.IntRange(1), default=100_000, show_default=True, help="Most messages to take.")
def accumulate(limit: int) -> None:
    """Store waiting confirmations, then acknowledge them."""
    show(Pipeline.from_env().accumulate(limit))


@main.command()
def publish() -> None:
    """Publish committed model events."""
    show({"published": Pipeline.from_env().publish_events()})


@main.command()
@model_option
def consider(model_type: str) -> None:
    """Ask the retraining policy; the answer is recorded."""
    show(Pipeline.from_env().consider(model_type, Asker("command line")))


@main.command()
@run_option
@model_option
@click.option("--dataset-id", help="A finished dataset to learn from once more; nothing is chosen then.")
def collect(run_id: str, model_type: str, dataset_id: str | None) -> None:
    """Choose photos and freeze the choice."""
    show({"dataset_id": Pipeline.from_env().collect(run_id, model_type, dataset_id)})


@main.command()
@_dataset
def validate(dataset_id: str) -> None:
    """Check the chosen photos; writes a report."""
    show(Pipeline.from_env().validate(dataset_id))


@main.command("data-report")
@_dataset
def data_report(dataset_id: str) -> None:
    """Where a browser opens the report of validate, also of what it refused; for some days."""
    show({"report": Pipeline.from_env().data_report(dataset_id)})


@main.command()
@run_option
@_dataset
def augment(run_id: str, dataset_id: str) -> None:
    """Write all shards and finish the dataset."""
    pipeline = Pipeline.from_env()
    indexes = pipeline.slices(dataset_id)
    for done, index in enumerate(indexes, start=1):
        pipeline.augment_slice(dataset_id, index)
        tell(f"slice {done}/{len(indexes)}")
    show(pipeline.assemble(run_id, dataset_id))


@main.command()
@run_option
@_dataset
@model_option
@click.option("--backbone", type=click.Choice(BACKBONES), help="Instead of the setting.")
@click.option("--epochs", type=click.IntRange(1, MAX_EPOCHS), help="Instead of the setting.")
@click.option("--batch-size", type=click.IntRange(1, 4096), help="Instead of the setting.")
@click.option("--learning-rate", type=FiniteRange(0, 1, min_open=True), help="Instead of the setting.")
@click.option("--label-smoothing", type=FiniteRange(0, 1, max_open=True), help="Instead of the setting.")
@click.option("--sweep", is_flag=True, default=None, help="Try other learning rates and label smoothings, too.")
@click.option("--fresh", is_flag=True, help="Forget earlier attempts and checkpoints of this run.")
def train(run_id: str, dataset_id: str, model_type: str, fresh: bool, **overrides: Any) -> None:
    """Train, with checkpoints; run again, it resumes."""
    end_on_sigterm()
    pipeline = Pipeline.from_env()
    result = pipeline.train(run_id, dataset_id, print_epoch, fresh=fresh, **overrides)
    show(pipeline.training_report(model_type, result))


@main.command()
@run_option
def verify(run_id: str) -> None:
    """Measure accuracy and performance, then decide."""
    pipeline = Pipeline.from_env()
    for check in (*pipeline.verify_accuracy(run_id), *pipeline.verify_performance(run_id)):
        tell(f"{check['outcome']:>12}  {check['reason']}")
    show(pipeline.decide(run_id))


@main.command()
@run_option
def register(run_id: str) -> None:
    """Number an accepted candidate."""
    show({"version": Pipeline.from_env().register(run_id)})


@main.command("hot-swap")
@served_option
@click.option("--version", required=True, help="A registered version, e.g. v1.2.0.")
@click.option("--actor", default="command line", show_default=True, help="Who asks.")
@click.option("--reason", required=True, help="Why; kept in the transition log.")
def hot_swap(model_type: str, version: str, actor: str, reason: str) -> None:
    """Serve a version on every replica."""
    pipeline = Pipeline.from_env()
    with publishing(pipeline):
        done = pipeline.hot_swap(model_type, version, actor, reason, new_request())
    show(done)


@main.command("roll-back")
@served_option
@click.option("--target", default="previous", show_default=True, help="A version that served before, or `previous`.")
@click.option("--actor", default="command line", show_default=True, help="Who asks.")
@click.option("--reason", required=True, help="Why; kept in the transition log.")
def roll_back(model_type: str, target: str, actor: str, reason: str) -> None:
    """Serve an earlier version again."""
    pipeline, request_id, asked = Pipeline.from_env(), new_request(), RollbackRequest(target, datetime.now(UTC))
    with publishing(pipeline):
        try:
            done = pipeline.roll_back(model_type, asked, actor, reason, request_id)
        except TryAgain as error:
            pipeline.announce_failed_rollback(model_type, asked, request_id, str(error))
            raise
    show(done)
    left = [*done["missing"], *(["the registry is behind"] if done["registry_is_behind"] else ())]
    if left:
        # Not "try again": asked once more, `previous` is one version further back.
        tell(not_everywhere(model_type, left))
        sys.exit(_EXIT_NOT_EVERYWHERE)


@main.command()
@run_option
@click.option("--actor", required=True, help="Who approves.")
@click.option("--reason", required=True, help="Why; kept beside the verdict.")
def approve(run_id: str, actor: str, reason: str) -> None:
    """Let a run go on that verification held; then clear its task `decide`, or register it."""
    show(Pipeline.from_env().approve(run_id, actor, reason))


@main.command()
@run_option
@click.option("--actor", required=True, help="Who refuses.")
@click.option("--reason", required=True, help="Why; kept beside the verdict.")
def refuse(run_id: str, actor: str, reason: str) -> None:
    """Refuse a run's model that verification held: it does not go live."""
    show(Pipeline.from_env().refuse(run_id, actor, reason))


@main.command("force-promote")
@click.argument("wanted", metavar="VERSION_OR_RUN")
@model_option
@click.option("--actor", required=True, help="Who answers for it.")
@click.option("--reason", required=True, help="Why; kept in the transition log, beside the verdict and in MLflow.")
def force_promote(wanted: str, model_type: str, actor: str, reason: str) -> None:
    """Serve a model that verification did not accept; its load test must have passed."""
    pipeline = Pipeline.from_env()
    with publishing(pipeline):
        done = pipeline.force_promote(model_type, wanted, actor, reason, new_request())
    show(done)


@main.command()
@served_option
def reconcile(model_type: str) -> None:
    """Make replicas and registry follow the transition log."""
    done = Pipeline.from_env().reconcile(model_type)
    show(done)
    demand_every_replica(model_type, done)


@main.group()
def lineage() -> None:
    """From a task to datasets and models, and back; one JSON object a line."""


@lineage.command("task")
@click.argument("task_id")
def lineage_of_task(task_id: str) -> None:
    """Datasets and models that the task's photo shaped."""
    for row in Pipeline.from_env().lineage_of_task(task_id):
        show(row)


@lineage.command("model")
@model_option
@click.argument("version")
def lineage_of_model(version: str, model_type: str) -> None:
    """The version, then every photo it learned from or was judged by."""
    for row in Pipeline.from_env().lineage_of_model(model_type, version):
        show(row)


@main.command("erase-photo")
@click.option("--task-id", required=True, help="The task whose photo is to be forgotten.")
@click.option("--actor", required=True, help="Who asks.")
@click.option("--reason", required=True, help="Why; kept.")
@click.confirmation_option(prompt="The photo's images are gone for ever. Go on?", help="Do not ask.")
def erase_photo(task_id: str, actor: str, reason: str) -> None:
    """Forget a photo: manifests, shards, caches, future selections; lists what it touched."""
    show(Pipeline.from_env().erase_photo(task_id, actor=actor, reason=reason))


for command in (*PEOPLE_COMMANDS, *RUN_COMMANDS, *FACE_COMMANDS, *BACKUP_COMMANDS):
    main.add_command(command)


if __name__ == "__main__":
    try:
        main()
    except TrainingInterrupted as error:
        tell(f"try again: training was interrupted ({error}); its checkpoint is kept")
        sys.exit(_EXIT_TRY_AGAIN)
    except RegistryBehind as error:
        tell(f"done, but not everywhere: {error}")
        sys.exit(_EXIT_NOT_EVERYWHERE)
    except TryAgain as error:
        tell(f"try again: {error}")
        sys.exit(_EXIT_TRY_AGAIN)
    except GiveUp as error:
        tell(f"refused: {error}")
        sys.exit(_EXIT_GIVE_UP)

"""Commands for people: what serves and why, the archive, the freeze, messages that could not be used, settings."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from include.contract.arguments import OutFile
from include.contract.log_lines import stop_saying
from pipeline.bootstrap import GiveUp, Pipeline, TryAgain, model_types, refusal, served_types, watched_types
from pipeline.bootstrap.exporter import begin_to_tell
from pipeline.bootstrap.runs import RunSteps
from pipeline.bootstrap.settings_listing import settings_as_markdown, settings_as_text
from pipeline.domain.commands import reconcile_command

_SHOWN_BYTES = 20_000


class _ModelTypeParameter(click.ParamType):
    """One of those that `known` names; any other is refused with the reason."""

    name = "model type"

    def __init__(self, known: Callable[[], tuple[str, ...]]) -> None:
        self._known = known

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self._known():
            self.fail(refusal(value), param, ctx)
        return value


def _model_option(known: Callable[[], tuple[str, ...]]) -> Callable[[Any], Any]:
    return click.option(
        "--model-type",
        type=_ModelTypeParameter(known),
        metavar=f"[{'|'.join(known())}]",
        default=model_types()[0],
        show_default=True,
        help="Which model.",
    )


model_option = _model_option(model_types)
served_option = _model_option(served_types)
"""Also of the types whose models are made in another way."""
_watched_option = _model_option(watched_types)
_actor = click.option("--actor", required=True, help="Who asks; kept in the transition log.")
_reason = click.option("--reason", required=True, help="Why; kept in the transition log.")


def new_request() -> str:
    """Every command is a request of its own."""
    return f"command-{time.time_ns()}"


@contextmanager
def publishing(pipeline: RunSteps) -> Iterator[None]:
    """Events of what is done inside leave, also of what is half done, such as a version that serves while the registry
    is behind, or an earlier change that was found done before this one was refused.
    """
    try:
        yield
    except (GiveUp, TryAgain):
        pipeline.publish_soon()
        raise
    pipeline.publish_soon()


def demand_every_replica(model_type: str, done: dict[str, Any]) -> None:
    """Raises `TryAgain` while replicas are missing from what was done."""
    if done["missing"]:
        missing = "; ".join(done["missing"])
        raise TryAgain(f"{missing}: {reconcile_command(model_type)} brings them back once they answer")


def not_everywhere(model_type: str, left: Sequence[str]) -> str:
    return f"done, but not everywhere: {'; '.join(left)}: {reconcile_command(model_type)} finishes it"


def show(value: dict[str, Any]) -> None:
    """One line of JSON on stdout, said once the act is done: whether anybody reads it changes no exit status."""
    try:
        click.echo(json.dumps(value, ensure_ascii=False, default=str))
    except BrokenPipeError:
        stop_saying(sys.stdout)


@click.command()
@_watched_option
def watch(model_type: str) -> None:
    """Look at how well the champion does live; says whether the monitor would roll back, and rolls nothing back."""
    show(Pipeline.from_env().watch(model_type))


@click.command("abort-canary")
@click.argument("version")
@model_option
@_actor
@_reason
def abort_canary(version: str, model_type: str, actor: str, reason: str) -> None:
    """Take the version on trial out of the requests."""
    pipeline = Pipeline.from_env()
    with publishing(pipeline):
        aborted = pipeline.abort_canary(model_type, version, actor, reason, new_request())
    show({"aborted": aborted})


@click.command("release-claim")
@click.argument("run_id")
@_actor
@click.option("--reason", required=True, help="Why; kept as the end of the run.")
def release_claim(run_id: str, actor: str, reason: str) -> None:
    """Let another retraining begin: the run that claims the model type is dead."""
    show({"run_id": run_id, "outcome": Pipeline.from_env().release_claim(run_id, actor, reason)})


@click.command("clear-freeze")
@_watched_option
@_actor
@_reason
def clear_freeze(model_type: str, actor: str, reason: str) -> None:
    """Allow promotions again after an automatic rollback."""
    show(Pipeline.from_env().clear_freeze(model_type, actor, reason, new_request()))


@click.command()
@served_option
@click.option("--keep", type=click.IntRange(1, 1000), help="Instead of the setting.")
@click.option("--dry-run", is_flag=True, help="Only say what would be archived.")
@click.option("--actor", default="command line", show_default=True, help="Who asks.")
def retire(model_type: str, keep: int | None, dry_run: bool, actor: str) -> None:
    """Move old versions' files to the archive."""
    done = Pipeline.from_env().retire(model_type, actor, new_request(), keep=keep, dry_run=dry_run)
    show(done)
    if done["failed"]:
        raise GiveUp("; ".join(f"{version}: {why}" for version, why in done["failed"].items()))


@click.command()
@served_option
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def prune(model_type: str, dry_run: bool) -> None:
    """Throw away images of old datasets, caches, files of models that were refused or never answered, old readings."""
    show(Pipeline.from_env().prune(model_type, dry_run=dry_run))


@click.command()
@click.argument("version")
@served_option
@click.option("--actor", default="command line", show_default=True, help="Who asks.")
def restore(version: str, model_type: str, actor: str) -> None:
    """Bring an archived version's files back; exit status 75 while Glacier thaws them."""
    show(Pipeline.from_env().restore(model_type, version, actor, new_request()))


@click.command()
@served_option
def history(model_type: str) -> None:
    """Who served from when, by whom and why; one JSON object a line."""
    for row in Pipeline.from_env().history(model_type):
        show(row)


@click.command()
@model_option
def worth(model_type: str) -> None:
    """Errors avoided and seconds of review saved by each version, against the one it replaced; a JSON object a line."""
    for one in Pipeline.from_env().worth(model_type):
        show(one)


@click.command()
@click.argument("version")
@served_option
@click.option("--out", type=OutFile(), help="The file, if not named by the version.")
def proof(version: str, model_type: str, out: Path | None) -> None:
    """All that is known of a version, as one ZIP: photos with hashes, verdict, approvals, who served when."""
    path = out or OutFile().of(f"proof-{model_type}-{version}.zip")
    body = Pipeline.from_env().proof(model_type, version)
    path.write_bytes(body)
    show({"file": str(path), "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})


@click.command("sign-models")
def sign_models() -> None:
    """Sign every registered version, once there is a key or another one; then replicas of its public key take them."""
    show(Pipeline.from_env().sign_models())


@click.command()
@click.argument("what", metavar="version:V|branch:B|reviewer:R")
@model_option
@_actor
@_reason
def withhold(what: str, model_type: str, actor: str, reason: str) -> None:
    """Set aside what people said in a version's time or a branch, or by a reviewer: no later dataset takes it."""
    show(Pipeline.from_env().withhold(model_type, what, actor, reason, new_request()))


@click.command("give-back")
@click.argument("withheld_id")
@_actor
@_reason
def give_back(withheld_id: str, actor: str, reason: str) -> None:
    """Let later datasets take again what was set aside."""
    show(Pipeline.from_env().give_back(withheld_id, actor, reason))


@click.command()
def withheld() -> None:
    """What people set aside, newest first, and what was given back; one JSON object a line."""
    for one in Pipeline.from_env().withheld():
        show(one)


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that could not be used: look, put back, throw away."""


@dead_letters.command("list")
def list_dead_letters() -> None:
    """Ids and reasons, oldest first."""
    for letter in Pipeline.from_env().dead_letters.all():
        show({"id": letter.id, "message_id": letter.message_id, "reason": letter.reason, "bytes": len(letter.body)})


@dead_letters.command("show")
@click.argument("letter_id")
def show_letter(letter_id: str) -> None:
    """One message; JSON escapes whatever it contains, so that it cannot play tricks on the terminal."""
    found = [letter for letter in Pipeline.from_env().dead_letters.all() if letter.id == letter_id]
    if not found:
        raise GiveUp(f"no dead letter {letter_id[:40]!r}: `python -m pipeline dead-letters list` shows their ids")
    body = found[0].body[:_SHOWN_BYTES].decode("utf-8", errors="replace")
    headers = found[0].headers[:_SHOWN_BYTES]
    click.echo(json.dumps({"id": letter_id, "reason": found[0].reason, "headers": headers, "body": body}))


@dead_letters.command()
@click.argument("letter_ids", nargs=-1, required=True)
def requeue(letter_ids: tuple[str, ...]) -> None:
    """Put messages back into the queue of confirmations, once their cause is mended."""
    for letter_id in letter_ids:
        show({"requeued": Pipeline.from_env().dead_letters.requeue(letter_id).id})


@dead_letters.command()
@click.argument("letter_ids", nargs=-1, required=True)
@click.confirmation_option(prompt="They are gone for ever. Go on?", help="Do not ask.")
def discard(letter_ids: tuple[str, ...]) -> None:
    """Throw messages away."""
    for letter_id in letter_ids:
        show({"discarded": Pipeline.from_env().dead_letters.discard(letter_id).id})


@click.command()
@click.option("--changed", is_flag=True, help="Only those that differ from their default.")
@click.option("--markdown", is_flag=True, help="The table of the README.")
def settings(changed: bool, markdown: bool) -> None:
    """Every setting: its variable, value, default, bounds and meaning."""
    click.echo(settings_as_markdown() if markdown else settings_as_text(changed_only=changed))


@click.command()
def exporter() -> None:
    """Answer Prometheus on /metrics until told to end: models, deployments, live accuracy, people's work."""
    begin_to_tell().join()


PEOPLE_COMMANDS = (
    watch,
    history,
    proof,
    sign_models,
    worth,
    abort_canary,
    release_claim,
    clear_freeze,
    withhold,
    give_back,
    withheld,
    retire,
    prune,
    restore,
    dead_letters,
    settings,
    exporter,
)

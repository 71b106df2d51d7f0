"""Metrics about the models, the retraining and the people, as the records stand now."""

from collections.abc import Iterator

from pipeline.domain.facts import Fact, label_of
from pipeline.domain.figures.deployments import of_history
from pipeline.domain.figures.production import Branches, of_confirmations, of_gaps, of_look, of_predictions
from pipeline.domain.figures.retraining import of_backlog, of_decisions, of_runs
from pipeline.domain.figures.versions import Measured, of_version
from pipeline.domain.history import History
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.ports.bundles import Watching


def tell_facts(d: Watching, branches: Branches) -> Iterator[Fact]:
    """Families and their meaning: `domain/facts.py`. Whoever tells them again does so of the same `branches`."""
    for model_type in ModelType:
        yield from _of_model(d, model_type, branches)
    yield Fact("records_begun_timestamp_seconds", (), d.totals.begun().timestamp())
    waiting = d.totals.waiting()
    yield Fact("outbox_waiting", ("mlops",), waiting.unpublished)
    yield Fact("outbox_oldest_seconds", ("mlops",), waiting.unpublished_seconds)
    yield Fact("notices_oldest_seconds", ("mlops",), waiting.untold_seconds)
    yield Fact("photos_erased_total", (), d.totals.erased())
    for trouble in d.troubles.open():
        dag_id, step = trouble.place.dag_id, trouble.place.step
        if step is None:
            yield Fact("dag_paused", (dag_id,), 1)
        elif trouble.worked_at is None:
            yield Fact("step_failing_timestamp_seconds", (dag_id, step), trouble.since.timestamp())


def _of_model(d: Watching, model_type: ModelType, branches: Branches) -> Iterator[Fact]:
    history, registered = d.transitions.ledger(model_type), d.versions.all(model_type)
    shown = [version for n, version in enumerate(registered) if n < d.shown or _in_use(history, version)]
    for version in shown:
        yield from of_version(_measured(d, version))
    yield from of_history(history)
    yield from _of_retraining(d, history)
    yield Fact("monitor_interval_seconds", (label_of(model_type),), d.seconds_between_looks)
    if (look := d.totals.newest_look(model_type)) is not None:
        yield from of_look(model_type, look, d.live)
    yield from of_gaps(model_type, d.totals.looks(model_type, {v.version for v in shown}), shown)
    if model_type is ModelType.LAUNDRY:
        # Branch managers confirm nothing else.
        names = {version.version for version in registered}
        seen = {version.version for version in shown}
        yield from of_confirmations(model_type, d.totals.confirmed(), shown=seen, registered=names)
        yield from of_predictions(model_type, d.totals.predicted(seen), shown=seen, branches=branches)


def _in_use(history: History, version: ModelVersion) -> bool:
    return version.version in {history.champion, history.trial and history.trial.version}


def _measured(d: Watching, version: ModelVersion) -> Measured:
    return Measured(version, d.training_runs.result(version.run_id), d.blessings.of_run(version.run_id))


def _of_retraining(d: Watching, history: History) -> Iterator[Fact]:
    model_type = history.model_type
    if model_type is ModelType.LAUNDRY:
        # Laundry's own rules and corrections by branch managers: those at doors are in another table.
        yield from of_backlog(model_type, d.confirmations.backlog(model_type, history.champion), d.retraining)
    yield from of_decisions(model_type, d.totals.decided(model_type))
    yield from of_runs(model_type, d.totals.ended(model_type))
    if (claim := d.runs.claim(model_type)) is not None:
        yield Fact("run_timestamp_seconds", (label_of(model_type),), claim.since.timestamp())

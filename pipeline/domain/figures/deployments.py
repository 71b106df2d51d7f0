"""Who serves, and how what serves changed, by the transition log."""

from collections import Counter
from collections.abc import Iterator

from pipeline.domain.facts import Fact, label_of
from pipeline.domain.history import History
from pipeline.domain.transitions import ROLLBACKS, Act, CanaryAbort, CanaryStart, ChampionChange, Kind, Phase

_COUNTED_KINDS = (
    *(Kind.PROMOTE, Kind.FORCED, Kind.CANARY_PROMOTE, Kind.ROLLBACK_MANUAL, Kind.ROLLBACK_AUTO),
    *(Kind.CANARY_START, Kind.CANARY_ABORT),
)
_OUTCOMES = {
    Phase.REQUESTED: "requested",
    Phase.UNCONFIRMED: "unconfirmed",
    Phase.FAILED: "failed",
    Phase.SERVED: "done",
    Phase.NOTED: "done",
}


def of_history(history: History) -> Iterator[Fact]:
    model = (label_of(history.model_type),)
    yield from _of_deployments(history, model)
    yield Fact("promotions_frozen", model, history.freeze is not None)
    yield Fact("rollback_failed", model, history.failed_rollback is not None)
    yield Fact("deployment_incomplete", model, history.incomplete is not None)
    yield Fact("registry_is_behind", model, history.registry_is_behind)
    if history.champion is not None:
        yield Fact("champion_info", (*model, history.champion), 1)
    if history.freeze is not None:
        since = next(e.at for e in history.facts if e.act == history.freeze)
        yield Fact("promotions_frozen_timestamp_seconds", model, since.timestamp())
    if history.trial is not None and history.trial_since is not None:
        yield Fact("canary_timestamp_seconds", (*model, history.trial.version), history.trial_since.timestamp())
    promoted = [e.at for e in history.facts if isinstance(e.act, ChampionChange) and e.act.kind not in ROLLBACKS]
    if promoted:
        yield Fact("last_promotion_timestamp_seconds", model, promoted[-1].timestamp())


def _of_deployments(history: History, model: tuple[str]) -> Iterator[Fact]:
    """Every kind and outcome is there from the beginning, with 0: Prometheus sees no rise in a counter that begins with
    1.
    """
    reached = {(act.id, _kind(act), outcome) for act, outcome in _steps(history)}
    counted = Counter((kind, outcome) for _, kind, outcome in reached)
    for kind in _COUNTED_KINDS:
        for outcome in dict.fromkeys(_OUTCOMES.values()):
            yield Fact("deployments_total", (*model, kind, outcome), counted[kind, outcome])


def _steps(history: History) -> Iterator[tuple[Act, str]]:
    counted = (e for e in history.entries if isinstance(e.act, ChampionChange | CanaryStart | CanaryAbort))
    return ((e.act, _OUTCOMES[e.phase]) for e in counted if e.phase in _OUTCOMES)


def _kind(act: Act) -> Kind:
    assert isinstance(act, ChampionChange | CanaryStart | CanaryAbort)
    return act.kind

"""What people are told of a model event: one subject, one sentence, and whether it may wait till morning."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.domain.commands import reconcile_command
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.troubles import MONITOR

_MAX_CHARACTERS = 1500
_NOTHING = "nothing"
# What the accuracy in an event means where it is not a share of right verdicts.
_FIGURES: Mapping[str, str] = {ModelType.FACE: "It takes {share} of pairs of photos of one person for one"}


@dataclass(frozen=True)
class Notice:
    """Plain text without control characters; whoever sends HTML has to escape it."""

    subject: str
    body: str
    urgent: bool = False


def notice_of(event: OutgoingEvent) -> Notice | None:
    """None for an event that only programs care about."""
    if event.type not in _SENTENCES:
        return None
    subject, sentence = _SENTENCES[event.type]
    fields = _Fields({name: _plain(value) for name, value in event.payload.items()})
    urgent = event.type in _URGENT or bool(event.payload.get("needsPerson")) or _stops_rollbacks(event)
    return Notice(f"{'URGENT: ' if urgent else ''}{subject.format_map(fields)}", sentence(fields), urgent)


_URGENT = frozenset({"HotSwapFailedEvent", "HotSwapUnconfirmedEvent", "RollbackFailedEvent", "RollbackIncompleteEvent"})
# While one of these fails or is paused, no bad model is taken down.
_GUARDS = {
    ("model_rollback", None),
    (MONITOR, None),
    (MONITOR, "watch"),
    (MONITOR, "watch_face"),
}
_Sentence = Callable[[Mapping[str, str]], str]


def _stops_rollbacks(event: OutgoingEvent) -> bool:
    broken = event.type in {"DagPausedEvent", "StepFailedEvent"}
    return broken and (event.payload.get("dagId"), event.payload.get("step")) in _GUARDS


class _Fields(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "unknown"


def _says(template: str) -> _Sentence:
    return template.format_map


def _rolled_back(fields: Mapping[str, str]) -> str:
    said = "{actor} took {rolledBackFrom} down: {reason}.".format_map(fields)
    if fields.get("promotionsFrozen") != str(True):
        return said
    how = "`python -m pipeline clear-freeze --model-type {modelType} --actor YOU --reason WHY`".format_map(fields)
    return f"{said} Nothing is promoted until somebody has found out why: then {how}."


def _went_live(fields: Mapping[str, str]) -> str:
    first = fields.get("previousVersion") == _NOTHING
    after = ("It is the first one" if first else "It replaced {previousVersion}") + ", in {deploymentTime}."
    figure = _FIGURES.get(fields.get("modelType", ""), "It was right on {share} of the validation photos")
    return f"{after.format_map(fields)} {figure.format(share=_share(fields))}."


def _skipped(fields: Mapping[str, str]) -> str:
    if "forcedFor" not in fields:
        return "The nightly run had nothing to do: {reason}.".format_map(fields)
    return "Run {runId} could not begin ({forcedFor}): {reason}. When that is over, force one anew.".format_map(fields)


def _share(fields: Mapping[str, str]) -> str:
    try:
        return f"{float(fields['accuracy']):.1%}"
    except (KeyError, ValueError):
        # For an event that an earlier release left in the outbox.
        return "an unknown share"


_SENTENCES: Mapping[str, tuple[str, _Sentence]] = {
    "TrainingFailedEvent": (
        "{modelType}: training needs a person",
        _says("Every attempt of run {runId} failed: {attempts}. Nothing that serves changed. Look at them: {link}."),
    ),
    "ModelVerificationFailedEvent": (
        "{modelType}: a model was refused",
        _says("Run {runId}: {reasons}. Next: {advice}. Report: {report}. Nothing that serves changed."),
    ),
    "ModelVerificationHeldEvent": (
        "{modelType}: a model waits for a person",
        _says("Run {runId}: {reasons}. Report: {report}. Approve it, or let it be; the champion keeps serving."),
    ),
    "HotSwapFailedEvent": (
        "{modelType} {modelVersion} could not go live",
        _says("{reason}. {champion} keeps serving."),
    ),
    "HotSwapUnconfirmedEvent": (
        "{modelType} {modelVersion}: nobody knows whether it is live",
        _says(
            "{reason}. Replicas may serve it or {champion}: "
            f"{reconcile_command('{modelType}')} asks them and settles it."
        ),
    ),
    "ModelDeployedEvent": (
        "{modelType} {modelVersion} is live",
        _went_live,
    ),
    "ModelRolledBackEvent": (
        "{modelType} was rolled back to {modelVersion}",
        _rolled_back,
    ),
    "RollbackFailedEvent": (
        "{modelType} could not be rolled back to {modelVersion}",
        _says("{reason}. What was to be replaced may still serve: mend the cause and roll back again."),
    ),
    "RollbackIncompleteEvent": (
        "{modelType} is back at {modelVersion}, but not on every replica",
        _says("{missing}. They may still serve the bad model; they are brought back as soon as they answer."),
    ),
    "CanaryAbortedEvent": ("{modelType} {modelVersion}: canary aborted", _says("{reason}. The champion serves alone.")),
    "LiveAccuracyLowEvent": ("{modelType} {modelVersion}: live accuracy is low", _says("{reason}. {consequence}.")),
    "LiveAccuracyRecoveredEvent": ("{modelType} {modelVersion}: live accuracy recovered", _says("{reason}.")),
    "FaceRatesHighEvent": (
        "{modelType} {modelVersion}: people are wrongly refused or let in",
        _says("{reason}. {consequence}."),
    ),
    "FaceRatesRecoveredEvent": (
        "{modelType} {modelVersion}: people are rightly known again",
        _says("{reason}."),
    ),
    "DeadLettersWaitingEvent": (
        "dead letters wait: {count}",
        _says("Confirmations that could not be used: `python -m pipeline dead-letters list` says why."),
    ),
    "StepFailedEvent": (
        "{dagId}: {step} failed",
        _says("Run {runId}: {reason}. {advice}. Log: {link}. While it goes on you are reminded twice a day."),
    ),
    "StepRecoveredEvent": ("{dagId}: {step} works again", _says("It failed since {failedSince}.")),
    "QuestionAskedEvent": (
        "{dagId} waits for your answer",
        _says("{question} Answer in Airflow until {until}, else nothing comes of it: {link}."),
    ),
    "QuestionLapsedEvent": (
        "{dagId}: nobody answered",
        _says("{question} {outcome}. To be asked again, clear the task: {link}."),
    ),
    "ProblemSeenEvent": (
        "{step} needs a person",
        _says("{problem}. While it goes on you are reminded twice a day."),
    ),
    "ConfirmationsStoppedEvent": (
        "{modelType}: no confirmations come",
        _says(
            "None of {modelVersion} came since {since}: nobody knows how often it is right, and it is not rolled back "
            "by itself. Ask the people of the service where people confirm, and look at the intake."
        ),
    ),
    "RunOverdueEvent": (
        "{dagId}: a run took too long",
        _says("{runId} was ended. What it waited for is in its grid: {link}. Mend that, then trigger another run."),
    ),
    "RunLateEvent": (
        "{dagId}: a run takes long",
        _says(
            "{runId} still goes on. A canary or a question to a person takes longer; else its grid shows the step that"
            " hangs: {link}."
        ),
    ),
    "DagPausedEvent": (
        "{dagId} is paused",
        _says("{consequence}. Switch it on in Airflow (Dags, {dagId}), unless that is what you want."),
    ),
    "DagResumedEvent": ("{dagId} runs again", _says("It was paused since {pausedSince} or a little longer.")),
    "RetrainingSkippedEvent": ("{modelType}: nothing is trained", _skipped),
}


def _plain(value: Any) -> str:
    """One line without control or formatting characters: a reason somebody typed must not forge lines or colours."""
    if value is None:
        return _NOTHING
    text = "; ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)
    shown = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"} else c for c in text)
    return " ".join(shown.split())[:_MAX_CHARACTERS]

"""What a step may raise: each class says whether trying again can help, each message what to do."""

from collections.abc import Sequence

from pipeline.domain.commands import reconcile_command


class TryAgain(Exception):
    """An outside system did not answer; the same call may succeed later. Nothing was lost."""


class GiveUp(Exception):
    """Trying again gives the same answer; a person or other data is needed."""


class ServiceUnavailable(TryAgain):
    """A named service (broker, database, object store, registry, replica) is out of reach."""

    said = "is unavailable"

    def __init__(self, service: str, detail: str) -> None:
        super().__init__(f"{service} {self.said}: {detail}")
        self.service = service


class ServiceTooSlow(ServiceUnavailable):
    """The service answers, but gave up one request: it took too long, or waited too long for another one."""

    said = "answers, and did not end one request in time"


class RegistryBehind(TryAgain):
    """What was asked for went live; `why` the registry could not be told so."""

    def __init__(self, model_type: str, version: str, why: Exception) -> None:
        behind = f"{version} went live on every replica; the registry is behind ({why})"
        super().__init__(f"{behind}: {reconcile_command(model_type)} mends it")
        self.why = why


class ServiceRefused(GiveUp):
    """A named service answers and refuses this request: rights, or what was asked for."""

    def __init__(self, service: str, detail: str) -> None:
        super().__init__(f"{service} refuses the request: {detail}")
        self.service = service


class ExperimentDeleted(GiveUp):
    """Somebody deleted the experiment in the tracker that retrainings are kept in; the message brings it back."""


class ExperimentRunDeleted(GiveUp):
    """Somebody deleted a training's run in the tracker while it was needed; the message brings it back."""


class NotTaken(GiveUp):
    """The broker answers, and does not take this one message."""


class PhotoMissing(GiveUp):
    """No photo at this address."""


class PhotoRefused(GiveUp):
    """A photo that must not or cannot be used: address, type, size or content."""


class Refused(GiveUp):
    """A deliberate no: a rule or a safeguard said it, and nothing is broken.

    `what` says it in short; `reasons` are sentences, each with its figure and bar, `said` is both; `advice` says what
    to do, `link` where to look. `has_news` when an event of its own tells people.
    """

    usual_advice = ""
    has_news = False

    def __init__(self, what: str, reasons: Sequence[str] = (), advice: str = "", link: str = "") -> None:
        why = f": {'; '.join(reasons)}" if reasons else ""
        then = f". Next: {advice}" if advice else ""
        super().__init__(f"{what}{why}{then}{f' (report: {link})' if link else ''}")
        self.what = what
        self.said = f"{what}{why}"
        self.reasons = tuple(reasons)
        self.advice = advice or self.usual_advice
        self.link = link


class DatasetRefused(Refused):
    """The collected data cannot become a dataset; the message lists the reasons."""

    usual_advice = "mend what is named there, in the data or in the settings, and start a retraining anew"


class PhotosErased(TryAgain):
    """What was chosen for a dataset was erased meanwhile: nothing of it is kept, and the next try goes without it."""

    def __init__(self, dataset_id: str, task_ids: Sequence[str]) -> None:
        named = ", ".join(task_id[:80] for task_id in task_ids[:3])
        super().__init__(f"{len(task_ids)} photos of {dataset_id} were erased while it was made ({named})")


class PhotosWithheld(TryAgain):
    """A person set aside, meanwhile, what was chosen for a dataset: the next try goes without it."""

    def __init__(self, dataset_id: str, photos: int, why: str) -> None:
        super().__init__(f"{photos} photos of {dataset_id} were set aside while it was made: {why}")


class TrainingFailed(GiveUp):
    """One training attempt ended without a model.

    `cause` is one of `out_of_memory`, `diverged`, `plateau`, `too_little_data`, `error` (see `domain.training.adjust`).
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class TrainingInterrupted(BaseException):
    """The process was asked to end (SIGTERM); the same command goes on from the checkpoint.

    No `Exception`, so that no library that retries or cleans up takes it for a fault of its own.
    """


class CheckpointRefused(GiveUp):
    """A checkpoint of another dataset or of other code; the message says which and how to start anew."""


class ClaimLost(GiveUp):
    """The run is no longer this process's: its claim went, or another process took it over."""


class RunBusy(TryAgain):
    """Another process works on the same run, or another run on the same model type."""


class TrainingNeedsPerson(GiveUp):
    """Every permitted attempt failed; the message lists them."""


class ModelRefused(GiveUp):
    """A model that verification or a serving replica refused; the message says why."""


class RunEnded(Refused):
    """A retraining ended without a deployment, or a person was told no to their face."""

    has_news = True


class NotBlessed(Refused):
    """A version without an accepting verification verdict was asked to go live."""

    usual_advice = "look at its verdict on page Models: an administrator may force what passed its load test"


class StaleTransition(Refused):
    """The champion changed since this transition was planned (compare-and-swap failed)."""

    usual_advice = "look at what serves now, and decide anew"


class UnknownVersion(Refused):
    """No such model version, or none that can be served."""

    usual_advice = "choose a version that page Models shows"


class PromotionFrozen(Refused):
    """After an automatic rollback nothing is promoted until a person has looked; the message says how to go on."""

    usual_advice = "look why it was rolled back; then clear the freeze, and ask anew"


class CanaryEnded(Refused):
    """A canary that was aborted, or is not running any more; the message says why."""

    usual_advice = "look at what serves now, and decide anew"


class CanaryDidHarm(CanaryEnded):
    """A replica threw the canary out by itself; the message says which, and what it saw."""


class ArchiveDamaged(GiveUp):
    """An archived file is missing or has another checksum: the version cannot be restored from it."""


class ObjectArchived(GiveUp):
    """An object that was moved to S3's archive, where it cannot be read before somebody restores it."""


class StillFrozen(TryAgain):
    """S3 was asked to bring an object back from Glacier, which takes hours."""


class Unconfirmed(TryAgain):
    """Something was tried, and nobody could be asked what came of it: it is neither done nor failed."""


class TakenDown(Refused):
    """A version that was taken out of service; only a named person may force it back."""

    usual_advice = "choose another version, or let an administrator force this one"

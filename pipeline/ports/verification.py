"""Trials in a private model server, the checks, the verdict and its report."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Protocol

from pipeline.domain.blessing import Blessing, Override
from pipeline.domain.checks import Check, PerformanceMeasurement, Prediction, ReasonFigures, plain_json
from pipeline.domain.comparison import Slice
from pipeline.domain.dataset import Dataset
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.staleness import OnNewest
from pipeline.domain.training import TrainingResult


class Trial(Protocol):
    """A private model server with one model loaded, answering over gRPC."""

    def classify(self, photos: Iterable[bytes]) -> Sequence[str]:
        """One label a photo. Photos are taken as they are asked about, so memory does not limit their number."""

    def measure(self, photos: Sequence[bytes], *, requests: int, concurrency: int) -> PerformanceMeasurement: ...


class StartedServer(Protocol):
    """A private model server that tries one model after the other."""

    def load(self, version: str, artifact: Artifact) -> Trial:
        """Load a model in place of the one before. Raises `ModelRefused` when the server will not load it, and
        `ServiceUnavailable` after the one before took the server down.
        """


class TrialServer(Protocol):
    def serve(self, model_type: ModelType, version: str, artifact: Artifact) -> AbstractContextManager[Trial]:
        """A server for this model alone. Raises `ModelRefused` when it will not load the model."""

    def start(self, model_type: ModelType) -> AbstractContextManager[StartedServer]:
        """For several models that need not be measured apart: starting a server takes longer than loading a model."""


@dataclass(frozen=True)
class VerificationReport:
    """Everything a person needs to understand a verdict.

    `flipped` are the candidate's answers on photos that the champion judges right and the candidate wrong; `flips` is
    a PNG of them, None when nothing was measured. `staleness` are candidate, champion and earlier versions.
    """

    blessing: Blessing
    result: TrainingResult
    dataset: Dataset
    slices: Sequence[Slice]
    flipped: Sequence[Prediction]
    flips: bytes | None
    by_reason: Sequence[ReasonFigures] = ()
    staleness: Sequence[OnNewest] = ()

    def to_json(self) -> bytes:
        """The verdict for programs and for the archive."""
        body = {
            **asdict(self.blessing),
            "verdict": self.blessing.verdict,
            "accuracy": self.blessing.accuracy,
            "hyperparameters": asdict(self.result.hyperparameters),
            "slices": [asdict(one) for one in self.slices],
            "by_reason": [asdict(one) for one in self.by_reason],
            "staleness": [asdict(one) for one in self.staleness],
        }
        return plain_json(body, indent=1).encode()


class ReportPrinter(Protocol):
    def contact_sheet(self, photos: Iterable[tuple[str, bytes]]) -> bytes:
        """PNG of photos, each with its name; only the first ones of many."""

    def html(self, report: VerificationReport) -> bytes:
        """One page that needs no other file."""

    def with_flips(self, page: bytes, flips: bytes) -> bytes:
        """The page of `html` with this sheet instead of its own."""


class Checks(Protocol):
    def save(self, run_id: str, part: str, checks: Sequence[Check]) -> None:
        """Keep the checks of one part (`accuracy`, `performance`); again replaces them until a blessing exists."""

    def of(self, run_id: str) -> Sequence[Check]: ...


class Blessings(Protocol):
    def grant(self, blessing: Blessing, event: OutgoingEvent | None) -> None:
        """Insert verdict and event in one transaction; a second verdict on one run changes nothing."""

    def of_run(self, run_id: str) -> Blessing | None:
        """The verdict on a run, with the override beside it."""

    def override(self, override: Override) -> None:
        """Keep a person's word beside the verdict; one a run, the first stands."""

"""The objects of one trained model: what each is called; the files that serve are named in its manifest alone."""

from dataclasses import dataclass

from pipeline.domain.models import ModelType

MANIFEST = "manifest.json"
"""What the model takes and gives, and its files with their hashes; without it there is no model."""
SIGNATURE = "manifest.sig"
"""Says of the manifest that it is ours."""
GOLDEN_SOURCE = "golden_source"
"""Field of a manifest's `extra`: where the images come from on which a server must agree with the trainer. Models
without this field take them from validation.
"""
FLIPS = "negative-flips.png"
"""Photos that only the champion judges right; its name also in the experiment tracker."""
REPORT_PAGE, REPORT = "verification-report.html", "verification-report.json"
"""The verdict for people and for programs; their names also in the experiment tracker."""


@dataclass(frozen=True)
class ArtifactFolder:
    """`uri` is `s3://…/<model type>/<run id>/`; everything of the run's model lies under it."""

    uri: str

    @classmethod
    def of(cls, prefix: str, model_type: str, run_id: str) -> "ArtifactFolder":
        """`prefix` is the `s3://…/` under which models live."""
        return cls(f"{prefix}{model_type}/{run_id}/")

    @property
    def model_type(self) -> ModelType:
        return ModelType(self.uri.split("/")[-3])

    @property
    def run_id(self) -> str:
        return self.uri.split("/")[-2]

    @property
    def manifest(self) -> str:
        return f"{self.uri}{MANIFEST}"

    @property
    def signature(self) -> str:
        return f"{self.uri}{SIGNATURE}"

    @property
    def trainer_predictions(self) -> str:
        """What the trainer itself says of each validation photo."""
        return f"{self.uri}trainer-predictions.json"

    @property
    def predictions(self) -> str:
        """What candidate and champion said of every photo they were judged by."""
        return f"{self.uri}predictions.json"

    @property
    def flips(self) -> str:
        return f"{self.uri}{FLIPS}"

    @property
    def slices(self) -> str:
        """Accuracy of both models on every slice of the photos."""
        return f"{self.uri}slices.json"

    @property
    def by_reason(self) -> str:
        """Of the corrections for each reason, how many the model answers as people corrected them."""
        return f"{self.uri}by-reason.json"

    @property
    def staleness(self) -> str:
        """How well candidate, champion and earlier versions do on the newest photos."""
        return f"{self.uri}staleness.json"

    @property
    def earlier_answers(self) -> str:
        """What the model says to earlier corrections that it did not learn from, by task."""
        return f"{self.uri}earlier-answers.json"

    @property
    def report_page(self) -> str:
        return f"{self.uri}{REPORT_PAGE}"

    @property
    def report(self) -> str:
        return f"{self.uri}{REPORT}"

    def checkpoint(self, attempt: int) -> str:
        """Prefix of the checkpoint from which an interrupted training goes on."""
        return f"{self._checkpoints}{attempt}/"

    def is_evidence(self, uri: str) -> bool:
        """Whether an object says why the model was judged as it was: it stays when the model goes."""
        return uri in {
            self.trainer_predictions,
            self.predictions,
            self.flips,
            self.slices,
            self.by_reason,
            self.staleness,
            self.earlier_answers,
            self.report_page,
            self.report,
        }

    def is_proof(self, uri: str) -> bool:
        """Whether an object is shown to whoever has to vouch for the model; the manifest and its signature are, too."""
        return self.is_evidence(uri) or uri.startswith(f"{self.uri}manifest.")

    def is_checkpoint(self, uri: str) -> bool:
        return uri.startswith(self._checkpoints)

    def features(self, key: str) -> str:
        """The frozen network's output for every image, a folder of parts."""
        return f"{self._caches[0]}{key}/"

    def activations(self, key: str) -> str:
        """For every image, the output of the layers below the block that fine-tuning trains, likewise."""
        return f"{self._caches[1]}{key}/"

    def is_cache(self, uri: str) -> bool:
        """Whether an object was computed from single photos: it is deleted when one of them is erased."""
        return uri.startswith(self._caches)

    @property
    def _checkpoints(self) -> str:
        return f"{self.uri}checkpoints/"

    @property
    def _caches(self) -> tuple[str, str]:
        return f"{self.uri}features/", f"{self.uri}activations/"

"""Helper tasks, photos, objects and datasets."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.dataset import (
    Augmentation,
    ConfirmedTask,
    Dataset,
    Fingerprint,
    Manifest,
    Photo,
    Quarantined,
    Split,
)
from pipeline.domain.leakage import HeldOut
from pipeline.domain.lineage import Appearance, Erased, Kept
from pipeline.domain.models import ModelType
from pipeline.domain.quality import Measured
from pipeline.domain.withholding import GivenBack, Withheld, Word


class CorrectionSource(Protocol):
    """Read-only view of the Helper database (DD-03); nothing returns more rows than its `limit`."""

    def corrections(self, *, since: datetime | None, limit: int) -> Sequence[ConfirmedTask]:
        """The specification's query: corrected tasks confirmed after `since`, newest first.

        Where there are more than `limit`, every branch gets as many as any other, unless it has fewer. Of a branch the
        one that waits longest comes first, then corrections of other times or for other reasons.
        """

    def earlier_corrections(self, *, until: datetime, limit: int) -> Sequence[ConfirmedTask]:
        """Corrected tasks confirmed at `until` or before, spread over that time by a hash of their id."""

    def confirmed(self, *, limit: int) -> Sequence[ConfirmedTask]:
        """The most recent confirmed tasks, corrected or not, newest first."""

    def history(self, *, limit: int) -> Sequence[ConfirmedTask]:
        """Confirmed tasks, corrected or not, spread over all time by a hash of their id: mostly the same each time."""

    def tasks(self, task_ids: Sequence[str]) -> Sequence[ConfirmedTask]:
        """The named tasks, as far as they are confirmed."""


class PhotoStore(Protocol):
    def read(self, url: str) -> bytes:
        """Raises `PhotoMissing`, `PhotoRefused` (address or size not allowed) or `ServiceUnavailable`."""


class PhotoFolder(Protocol):
    """Photos that a person hands over. Its text is its address, without a `/` at the end."""

    def names(self) -> Sequence[str]:
        """Paths of everything below it, with `/`, sorted."""

    def read(self, name: str) -> bytes:
        """Raises `PhotoRefused` (unreadable, too large, gone) or `ServiceUnavailable`."""


class PhotoInspector(Protocol):
    def fingerprint(self, photo: bytes) -> Fingerprint:
        """Never raises for bad bytes: the fault is in the result."""


class ObjectStore(Protocol):
    """S3 objects by `s3://bucket/key`."""

    def read(self, uri: str) -> bytes:
        """Raises `KeyError` when there is none, `ObjectArchived` for one in Glacier, else `ServiceUnavailable`."""

    def write(self, uri: str, body: bytes, content_type: str = "application/octet-stream") -> None: ...

    def exists(self, uri: str) -> bool: ...


class ObjectFolders(ObjectStore, Protocol):
    """Objects that are also listed, deleted and shown to people."""

    def list(self, prefix: str) -> Sequence[str]:
        """URIs that begin with `prefix`, sorted."""

    def delete(self, uri: str) -> None:
        """Delete the object; deleting what is not there changes nothing."""

    def link(self, uri: str) -> str:
        """An http address a browser can open for some days, without credentials of its own."""


class Datasets(Protocol):
    """Rows about datasets, the permanent sides of photo clusters, and the append-only holdout."""

    def begin(self, run_id: str, model_type: ModelType) -> str:
        """Reserve `DS-<year>-<nnn>` for this run; the same run gets the same id again. Raises `GiveUp` for a run of
        another model type.
        """

    def freeze(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        """Record that the manifest is in the object store, in one transaction with its per-photo lineage, what was set
        aside, and the sides of its new clusters. Frozen already, nothing changes. Raises `PhotosErased` when a task in
        it, or the bytes of its photo, are erased, and `PhotosWithheld` when a person set aside what was said of a photo
        that it uses: neither comes in between, whoever erases or sets aside finds the dataset frozen.
        """

    def hold_out(self, dataset_id: str, manifest: Manifest) -> None:
        """Of a dataset that passed every check, the holdout photos that are new make the next version of the holdout.

        What is in it stays for ever, so nothing comes in before it was looked at. Again, nothing changes.
        """

    def set_aside(self, dataset_id: str) -> Sequence[Quarantined]:
        """Tasks that were left out when the dataset was frozen, or went later, ordered by task; an erased one has no
        address.
        """

    def lose(self, manifest: Manifest, rows: Sequence[Quarantined]) -> None:
        """Sets aside photos that disappeared after `freeze`; one that is recorded already stays as it is. Raises
        `PhotosErased` as `freeze` does.
        """

    def look_for_again(self, manifest: Manifest, rows: Sequence[Quarantined]) -> None:
        """Too many disappeared to go on without them: forgets what `lose` recorded of these."""

    def frozen_sha256(self, dataset_id: str) -> str | None:
        """Hash of the frozen manifest, None before `freeze`."""

    def unfrozen(self, dataset_id: str) -> AbstractContextManager[bool]:
        """Whether it is not frozen; until this ends, whoever freezes it waits."""

    def clusters(self) -> Mapping[int, Split]:
        """The perceptual hash that founded each cluster, oldest first, and the side it stands on for ever."""

    def clusters_of(self, task_ids: Sequence[str]) -> Mapping[str, str]:
        """The cluster of each task's photo, from the newest dataset that has it; unknown tasks are missing."""

    def holdout(self, model_type: ModelType) -> Sequence[HeldOut]:
        """Every photo that was ever held out, newest first; none of them may be trained on."""

    def holdout_uses(self, model_type: ModelType, task_ids: Sequence[str]) -> int:
        """Verdicts that the oldest of these holdout members took part in."""

    def complete(self, dataset: Dataset) -> None:
        """Record the dataset's counts and hash; it stays the dataset of the run that began it."""

    def finish(self, dataset: Dataset, manifest: Manifest) -> None:
        """As `complete`, of what was made of `manifest`. Raises `PhotosErased` as `freeze` does, and then nothing
        changes: whoever erases later finds the dataset finished.
        """

    def finished_sha256(self, dataset_id: str) -> str | None:
        """Hash of the index of shards, None before `complete`."""

    def get(self, dataset_id: str) -> Dataset:
        """Raises `GiveUp` when the dataset is unknown or not complete."""

    def previous(self, dataset_id: str) -> Dataset | None:
        """The last complete dataset of the same model type before this one."""

    def frozen(self) -> Sequence[tuple[str, ModelType, str]]:
        """Id, model type and run of every dataset whose manifest is frozen, oldest first."""

    def of_type(self, model_type: ModelType) -> Sequence[tuple[str, str]]:
        """Id and run of every dataset that was begun, oldest first."""

    def appearances(self, *, task_id: str | None = None, dataset_id: str | None = None) -> Sequence[Appearance]:
        """Where a task's photo was used, or what a dataset consists of; ordered by dataset, then task."""

    def kept(self, task_id: str) -> Sequence[Kept]:
        """What datasets kept of the task's photo, and of other tasks that show the same photo; each once, ordered;
        empty after it was erased.
        """

    def first_photos(self, model_type: ModelType) -> Sequence[Appearance]:
        """The photos that the first model was made of, ordered by task: those of the last dataset that has no others
        than a person's labelled ones. Erased ones are not among them.
        """


class Erasures(Protocol):
    """Photos that may no longer be used (privacy)."""

    def record(self, erased: Erased) -> None:
        """From now on no selection takes the task or the same bytes again, and no dataset with them is frozen. Recorded
        already, hashes that are new are added, and nothing else changes.
        """

    def all(self) -> Sequence[Erased]: ...

    def replace_manifest(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        """The frozen manifest's hash after a photo was taken out of it."""

    def addresses(self, key: str) -> Sequence[str]:
        """Addresses of the photos of a task, of a check or of a person (`person_key`), as far as tables know them;
        ordered.
        """

    def strike(self, addresses: Sequence[str]) -> Mapping[str, int]:
        """Remove the addresses from every text of every table; table names with the rows that changed. What a row of a
        task's own calls its address stays: `anonymise` removes that.
        """

    def anonymise(self, task_id: str) -> Mapping[str, int]:
        """Remove address and hash of the photo from every table; table names with the rows that changed."""


class KeptErasures(Protocol):
    """The same erasures, where no restore of a database undoes them."""

    def add(self, erased: Erased) -> None:
        """Raises `ServiceUnavailable`."""

    def all(self) -> Sequence[Erased]:
        """Oldest first. Raises `ServiceUnavailable`."""


class Withholdings(Protocol):
    """What people set aside, for ever, and gave back."""

    def withhold(self, withheld: Withheld) -> Withheld:
        """Its corrections, later ones included, no longer wait for a retraining. Returns it as stored, with their
        number; the same request again changes nothing. Raises `GiveUp` as `asked_before` does, whoever asks beside it.
        """

    def give_back(self, withheld_id: str, given_back: GivenBack) -> Withheld:
        """Corrections that nothing else covers count again, as new where a dataset lacked them. Returns it as stored;
        giving it back twice changes nothing.
        """

    def all(self) -> Sequence[Withheld]:
        """Newest first."""

    def words(self, task_ids: Sequence[str]) -> Mapping[str, Word]:
        """Who confirmed these tasks last; events that never came are missing."""


@dataclass(frozen=True)
class Validation:
    """What the data checks found: `failures` stop the run, `warnings` are for the report.

    `pages` are the data docs: relative path to content, `index.html` among them.
    """

    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    pages: Mapping[str, bytes]


class DataValidator(Protocol):
    def check(self, manifest: Manifest, measured: Sequence[Measured], *, now: datetime) -> Validation:
        """Every row against its schema, and every figure of the whole against its bounds."""


@dataclass(frozen=True)
class Suspect:
    """A label that the other photos contradict: `confidence` 0-1 in the label given, from models that never saw it."""

    task_id: str
    label: str
    suggested: str
    confidence: float


class LabelReviewer(Protocol):
    def suspects(self, manifest: Manifest, descriptors: Mapping[str, bytes]) -> Sequence[Suspect]:
        """Likely label errors, the likeliest first; half of such flags are usually right. For people, never dropped."""


class DataReporter(Protocol):
    def page(
        self, manifest: Manifest, found: Validation, suspects: Sequence[Suspect], photos: Mapping[str, bytes]
    ) -> bytes:
        """One self-contained HTML page; `photos` are bytes of photos by task id, shown small beside their row."""

    def with_lost(self, page: bytes, lost: Sequence[Quarantined]) -> bytes:
        """The same page with photos that disappeared after it was written; called again, nothing appears twice."""


class Augmenter(Protocol):
    """Turns photos into training images, and packs images into shards."""

    def shard(
        self, photos: Iterable[tuple[Photo, bytes]], *, augmentation: Augmentation, labels: Sequence[str]
    ) -> bytes:
        """One shard: each photo resized, `copies` images in all (the original and augmented ones); deterministic.

        Photos are taken one at a time, so memory does not limit their number.
        """

    def without(self, shard: bytes, task_id: str) -> bytes | None:
        """The shard without any image of this task; None when it has none."""

    def contact_sheet(self, shards: Sequence[bytes], labels: Sequence[str]) -> bytes:
        """PNG of sample images, one row per label."""

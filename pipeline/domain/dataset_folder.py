"""The objects of one dataset: what each is called, and the index of its shards."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import Split

CONTACT_SHEET = "contact-sheet.png"
"""Its name also in the experiment tracker, beside the training's figures."""
_SHARD, _WITHOUT, _VECTOR = ".parquet", "-without-", ".f32"


def first_photos(prefix: str) -> str:
    """Where copies of the photos lie that a person labelled for the first model; `prefix` is that of datasets."""
    return f"{prefix}first-model/"


def erasures(prefix: str) -> str:
    """Where erasures are written down as well, so that they outlive any database; `prefix` is that of datasets."""
    return f"{prefix}erasures/"


def face_vectors(prefix: str) -> str:
    """Prefix of the face vectors, computed once for all trainings; `prefix` is that of datasets."""
    return f"{prefix}faces/"


def face_vector(prefix: str, base_sha256: str, photo_id: str) -> str:
    return f"{face_vectors(prefix)}{base_sha256[:16]}/{photo_id}{_VECTOR}"


def face_in(vector: str) -> str:
    """The hash of the photo that a vector is of."""
    return vector.rpartition("/")[2].removesuffix(_VECTOR)


@dataclass(frozen=True)
class DatasetFolder:
    """`uri` is `s3://…/<dataset id>/`; everything of a dataset lies under it."""

    uri: str

    @classmethod
    def of(cls, prefix: str, dataset_id: str) -> "DatasetFolder":
        """`prefix` is the `s3://…/` under which datasets live."""
        return cls(f"{prefix}{dataset_id}/")

    @property
    def manifest(self) -> str:
        """The frozen selection."""
        return f"{self.uri}manifest.json"

    @property
    def drafts(self) -> str:
        """Prefix of selections for a dataset of faces that did not become its manifest yet."""
        return f"{self.uri}drafts/"

    def draft(self, sha256: str) -> str:
        """One such selection, named by its hash."""
        return f"{self.drafts}{sha256[:16]}.json"

    @property
    def descriptors(self) -> str:
        """Figures of every photo by which labels are compared, kept so that no photo is fetched again for that."""
        return f"{self.uri}descriptors.json"

    @property
    def suspects(self) -> str:
        """Labels that a person should look at."""
        return f"{self.uri}suspects.json"

    @property
    def report(self) -> str:
        """What the data checks found, as a page for people."""
        return f"{self.uri}data-report.html"

    @property
    def docs(self) -> str:
        """Prefix of the validator's own pages."""
        return f"{self.uri}data-docs/"

    @property
    def index(self) -> str:
        """The shards with their hashes; its own sha256 is the dataset's."""
        return f"{self.uri}dataset.json"

    @property
    def contact_sheet(self) -> str:
        """Sample images as a picture."""
        return f"{self.uri}{CONTACT_SHEET}"

    @property
    def shards(self) -> str:
        """Prefix of all shards."""
        return f"{self.uri}shards/"

    def shard(self, split: Split, number: int) -> str:
        """The shard of one slice; `number` counts the split's slices from 0."""
        return f"{self.shards}{split}-{number:05d}{_SHARD}"


@dataclass(frozen=True)
class Shard:
    """Images of some photos of one split, and the hash they were recorded with."""

    uri: str
    sha256: str

    @classmethod
    def of(cls, uri: str, body: bytes) -> "Shard":
        return cls(uri, sha256(body))

    def rewritten(self, body: bytes) -> "Shard":
        """The shard without some photo, under a new name: the old one stays until the index no longer names it."""
        stem = self.uri.removesuffix(_SHARD).partition(_WITHOUT)[0]
        return Shard.of(f"{stem}{_WITHOUT}{sha256(body)[:8]}{_SHARD}", body)


@dataclass(frozen=True)
class ShardIndex:
    """Every shard of a dataset by split, in order; the hash of the index is that of the dataset."""

    labels: Sequence[str]
    train: Sequence[Shard]
    validation: Sequence[Shard]

    @property
    def shards(self) -> tuple[Shard, ...]:
        return (*self.train, *self.validation)

    def of(self, split: Split) -> Sequence[Shard]:
        return self.train if split is Split.TRAIN else self.validation

    @property
    def sha256(self) -> str:
        return sha256(self.to_json())

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "ShardIndex":
        found = json.loads(body)
        train, validation = ([Shard(**shard) for shard in found[split]] for split in (Split.TRAIN, Split.VALIDATION))
        return cls(found.get("labels", ()), train, validation)

"""The objects of one dataset: what each is called, and how the index names its shards."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.dataset import Manifest, Split

CONTACT_SHEET = "contact-sheet.png"
"""Its name also in the experiment tracker, beside the training's figures."""

Shard = Mapping[str, str]
"""`uri` and `sha256` of one shard."""
Shards = Mapping[str, Sequence[Shard]]
"""The shards of each split that is trained with, in order."""


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
    def descriptors(self) -> str:
        """Figures of every photo by which labels are compared, kept so that no photo is fetched for it again."""
        return f"{self.uri}descriptors.json"

    @property
    def suspects(self) -> str:
        """Labels for a person to look at."""
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


_SHARD, _WITHOUT = ".parquet", "-without-"


def rewritten_shard(uri: str, sha256: str) -> str:
    """The name of a shard that lost a photo: the old one stays whole until the index no longer names it."""
    return f"{uri.removesuffix(_SHARD).partition(_WITHOUT)[0]}{_WITHOUT}{sha256[:8]}{_SHARD}"


def index_of(manifest: Manifest, shards: Shards) -> bytes:
    """The index of the dataset's shards as it is stored."""
    return json.dumps({"labels": manifest.labels, **shards}, ensure_ascii=False, sort_keys=True).encode()


def shards_in(index: bytes) -> Shards:
    """What `index_of` was made of."""
    found = json.loads(index)
    return {split: found[split] for split in (Split.TRAIN, Split.VALIDATION)}

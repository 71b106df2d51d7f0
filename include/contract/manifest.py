"""What a model artifact holds, and the hashes that prove it (design D12).

An artifact is an `s3://…/` prefix with `manifest.json`, the files it lists, and nothing else that is read.
`manifest.json` is written last: without it the artifact does not exist.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from include.contract.identification import Thresholds
from include.contract.portrait import PortraitBounds

MANIFEST = "manifest.json"
REASONS = "reasons.npz"
"""File that a model may have: `names` [R], `weights` float32 [feature_width, R] and `bias` float32 [R] of how likely a
correction would be about each reason, 1 / (1 + exp(-(features · weights + bias)))."""
HEAD = "head.npz"
"""File that a model may have: `matrix` float32 [feature_width, feature_width]. Its features are those of a base
network, which `base_sha256` of `extra` names, times this: models of one base can be turned into each other."""
PORTRAIT_BOUNDS = "portrait"
"""What a face model's `extra` calls the bounds of photos that it is served on."""
FORMAT = 1
# Networks and numbers. Pickles, Keras archives, Python and shared libraries would run code where they are loaded.
_DATA_ONLY = re.compile(r"[^/]+\.(xml|bin|onnx|pb|npz|index|data-\d{5}-of-\d{5})")

_LONGEST_NAME_BYTES, _LONGEST_PATH_BYTES = 200, 1000
# Probabilities differ by 1 at most, cosines by 2.
_ANY_ANSWER = 2


class BadManifest(ValueError):
    """A manifest that cannot be read or trusted; the text says why."""


@dataclass(frozen=True)
class Golden:
    """Inputs and the trainer's outputs for them; a server that answers differently must not serve the model.

    `file` is a NumPy `.npz` with `images` uint8 [N, 224, 224, 3] and `probabilities` float32 [N, labels]. With a
    threshold it has `features` float32 [N, width], too, whose directions must be the same.
    `tolerances` allow reduced precisions (`bf16`, `int8`) another distance than `tolerance`.
    """

    file: str
    tolerance: float = 0.02
    tolerances: Mapping[str, float] = field(default_factory=dict)

    def allowed(self, precision: str) -> float:
        """Largest difference of a probability, and of a cosine from 1."""
        return self.tolerances.get(precision, self.tolerance)


@dataclass(frozen=True)
class ArtifactManifest:
    """`files` maps relative path to sha256; `engines` maps engine name (`openvino`, `openvino-int8`,
    `onnxruntime`, `tensorflow`) to its entry file.

    Models take uint8 RGB [N, `input_pixels`, `input_pixels`, 3] and give `probabilities` [N, labels] and
    `features` [N, `feature_width`]. `threshold` is the cosine of two features from which on two photos are taken for
    one person who was named beforehand (1:1); None: the model tells no people apart. `identification` says it for a
    photo that is looked for among so many people (1:N); a model of before has none.
    """

    model_type: str
    backbone: str
    labels: tuple[str, ...]
    input_pixels: int
    feature_width: int
    engines: Mapping[str, str]
    files: Mapping[str, str]
    golden: Golden
    run_id: str
    dataset_id: str
    format: int = FORMAT
    extra: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    identification: Thresholds = ()

    @property
    def portrait(self) -> PortraitBounds | None:
        """What a photo has to be like before anybody is compared with it; None for a model that takes any."""
        said = self.extra.get(PORTRAIT_BOUNDS)
        return None if said is None else PortraitBounds.of(said)

    def to_json(self) -> bytes:
        fields = asdict(self)
        if self.threshold is None:
            # Written only when needed: servers of earlier releases do not know this field.
            del fields["threshold"]
        if not self.identification:
            del fields["identification"]
        return json.dumps(fields, ensure_ascii=False, sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "ArtifactManifest":
        try:
            fields = json.loads(body)
            golden = Golden(**fields.pop("golden"))
            among = tuple((people, threshold) for people, threshold in fields.pop("identification", ()))
            labels = tuple(fields.pop("labels"))
            manifest = cls(**fields, labels=labels, golden=golden, identification=among)
            manifest._check()
            _ = manifest.portrait
        except (BadManifest, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - no list has all that the bytes of a stranger can lead to
            raise BadManifest(f"manifest.json cannot be read: {type(error).__name__} {str(error)[:200]!r}") from None
        return manifest

    def _check(self) -> None:
        if self.format != FORMAT:
            raise BadManifest(f"manifest format {self.format!r:.40}, this program reads {FORMAT}")
        self._check_kinds()
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise BadManifest("manifest has no labels, or the same one twice")
        self._check_threshold()
        ordered = sorted(self.files, key=lambda path: path.split("/"))
        # Sorted, the contents of a folder come right after it.
        for path, after in zip(ordered, (*ordered[1:], ""), strict=False):
            if not _is_plain(path) or after.startswith(f"{path}/"):
                raise BadManifest(f"manifest lists the unsafe path {path[:100]!r}")
            if not _DATA_ONLY.fullmatch(path.rpartition("/")[2]):
                raise BadManifest(f"manifest lists {path[:100]!r}: only formats that cannot carry code are taken")
        missing = [entry for entry in (*self.engines.values(), self.golden.file) if entry not in self.files]
        if missing:
            raise BadManifest(f"manifest names files it does not list: {', '.join(missing)[:200]}")

    def _check_kinds(self) -> None:
        """Checks the types of all fields, because JSON may have anything anywhere."""
        names = (self.model_type, self.backbone, self.run_id, self.dataset_id, self.golden.file, *self.labels)
        try:
            "".join((*names, *self.files, *self.files.values(), *self.engines, *self.engines.values())).encode()
        except (TypeError, UnicodeEncodeError):
            raise BadManifest("manifest has something that is no text where a text is needed") from None
        if not all(type(number) is int and number > 0 for number in (self.input_pixels, self.feature_width)):
            raise BadManifest("manifest has an input size or a feature width that is no positive whole number")
        tolerances = (self.golden.tolerance, *self.golden.tolerances.values())
        # Infinity, which this JSON knows, allows any answer; a whole number may be too large for anything else.
        if not all(type(far) in {int, float} and 0 <= far < _ANY_ANSWER for far in tolerances):
            raise BadManifest("manifest has a tolerance that is no number, or allows any answer")

    def _check_threshold(self) -> None:
        """Checks the thresholds: one that is no cosine lets in everybody or nobody, and more people need a stricter
        one.
        """
        alone = self.threshold
        found = [threshold for _, threshold in self.identification] + ([] if alone is None else [alone])
        for one in found:
            if not isinstance(one, float) or not math.isfinite(one) or not -1 < one <= 1:
                raise BadManifest(f"manifest has the threshold {one!r}, which is no cosine")
        sizes, among = [people for people, _ in self.identification], [one for _, one in self.identification]
        if not all(type(people) is int and people > 0 for people in sizes) or sizes != sorted({*sizes}):
            raise BadManifest("manifest has thresholds among people who are no ascending numbers")
        if among and (alone is None or alone > among[0] or among != sorted(among)):
            raise BadManifest("manifest has a threshold among more people that is below that among fewer")


def _is_plain(path: str) -> bool:
    """Whether the path is written in the one plain form, so that no two name one file, and is short enough for any
    disk.
    """
    parts = path.split("/")
    named = all(part not in {"", ".", ".."} and len(part.encode()) <= _LONGEST_NAME_BYTES for part in parts)
    return named and len(path.encode()) <= _LONGEST_PATH_BYTES and not set(path) & {"\\", "\0"}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()

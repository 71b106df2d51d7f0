"""A manifest comes from outside: whatever it says, it is refused or can be relied on."""

import json
import math
import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.contract.manifest import ArtifactManifest, BadManifest, Golden

SHA256 = "a" * 64
SAID = json.loads(
    ArtifactManifest(
        model_type="LAUNDRY",
        backbone="Tiny",
        labels=("양호", "불량"),
        input_pixels=224,
        feature_width=3,
        engines={"openvino": "openvino/model.xml"},
        files={"openvino/model.xml": SHA256, "golden.npz": SHA256},
        golden=Golden("golden.npz", tolerances={"bf16": 0.1}),
        run_id="run-1",
        dataset_id="DS-2026-001",
    ).to_json()
)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(["openvino/model.xml", "a\0.npz"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from([*SAID, *(f"golden.{field}" for field in SAID["golden"])]), value=ANYTHING)
@example(field="format", value="\ud800")
@example(field="golden", value={"\ud800": 1})
@example(field="labels", value=[1, 2])
@example(field="labels", value=["양호", "\ud800"])
@example(field="feature_width", value=3.0)
@example(field="input_pixels", value=True)
@example(field="files", value=["openvino/model.xml", "golden.npz"])
@example(field="files", value={})
@example(field="engines", value=[])
@example(field="golden.file", value=5)
@example(field="golden.tolerance", value="0.1")
@example(field="golden.tolerances", value=[])
@example(field="golden.tolerance", value=float("inf"))
@example(field="golden.tolerances", value={"bf16": float("inf")})
@example(field="golden.tolerance", value=10**400)
@example(field="extra", value={"portrait": {"min_side": 10**400}})
@example(field="extra", value={"portrait": {"min_brightness": -(10**400)}})
@example(field="threshold", value=10**400)
@example(field="identification", value=[[10**400, 0.5]])
@example(field="feature_width", value=10**400)
def test_whatever_stands_in_a_field_it_is_refused_or_of_its_kind(field, value):
    said = json.loads(json.dumps(SAID))
    of, _, name = field.rpartition(".")
    (said[of] if of else said)[name] = value
    try:
        manifest = ArtifactManifest.from_json(json.dumps(said).encode())
    except BadManifest as error:
        assert 0 < len(str(error).encode()) < 2000 and "zip()" not in str(error)
        return
    assert " ".join((manifest.model_type.lower(), manifest.backbone, *manifest.labels)).encode()
    assert range(manifest.input_pixels) and range(manifest.feature_width)
    assert {0 <= float(manifest.golden.allowed(precision)) < 2 for precision in ("f32", "bf16")} == {True}
    assert {manifest.golden.file, *manifest.engines.values()} <= dict(manifest.files).keys()
    assert all(path.encode() and "\0" not in path for path in manifest.files)
    assert manifest.portrait is None or all(map(math.isfinite, asdict(manifest.portrait).values()))


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000, b"\xff", b'{"golden": []}'])
def test_what_is_no_manifest_at_all_is_refused(body):
    with pytest.raises(BadManifest, match=r"manifest\.json cannot be read"):
        ArtifactManifest.from_json(body)


PARTS = st.sampled_from(["a", "b", "model.bin", "c.npz", ".", "..", "", "\0", "한", "x" * 90, "x" * 300])


@given(st.lists(st.lists(PARTS, min_size=1, max_size=4).map("/".join), max_size=6), st.integers(0, 40))
@example(["a.bin", "./a.bin"], 0)
@example(["a.bin/b.bin", "a.bin"], 0)
@example(["a.bin", "a.bin-b", "a.bin/b.bin"], 0)
@example(["b//a.bin"], 0)
@example(["a.bin"], 40)
def test_files_that_are_taken_lie_beside_each_other_on_any_disk(paths, deep):
    """Else what is wrong with an artifact would be taken for a disk that is full, and tried again for ever."""
    files = {"/".join(["folder-of-its-own-and-no-other"] * deep + [path]): SHA256 for path in paths}
    said = {**SAID, "files": {**SAID["files"], **files}}
    try:
        manifest = ArtifactManifest.from_json(json.dumps(said).encode())
    except BadManifest as error:
        assert "unsafe path" in str(error) or "carry code" in str(error)
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in manifest.files:
            place = Path(folder, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(path)
        assert all(Path(folder, path).read_text() == path for path in manifest.files)

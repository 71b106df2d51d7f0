"""Artifacts of models that must not serve, each with what is said of it; only those that cost little to refuse.

What hangs, leaks or takes ten times as long is in `tests/integration/test_bad_artifacts.py`.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from include.contract.manifest import MANIFEST, REASONS
from tests.tiny_model import tiny_artifact

Files = dict[str, bytes]
_XML, _BIN, _GOLDEN = "openvino/model.xml", "openvino/model.bin", "golden.npz"
_HASH = "a" * 64
_UNREADABLE = "manifest.json cannot be read"
_NO_TEXT = "something that is no text where a text is needed"
_NO_SIZE = "no positive whole number"
_UNSAFE = "unsafe path"
_CODE = "cannot carry code"
_MISSING = "names files it does not list"

# Of the manifest: field, value, what is said. `...` leaves it out.
_FIELDS: dict[str, tuple[str, Any, str]] = {
    "a format to come": ("format", 2, "manifest format 2"),
    "a format as text": ("format", "1", "manifest format '1'"),
    "no format": ("format", None, "manifest format None"),
    "another model": ("model_type", "FACE", "FACE model, not laundry"),
    "a model that is a number": ("model_type", 7, _NO_TEXT),
    "no model": ("model_type", ..., _UNREADABLE),
    "a model of half a character": ("model_type", "\ud800", _NO_TEXT),
    "no labels": ("labels", [], "has no labels"),
    "labels null": ("labels", None, _UNREADABLE),
    "a label twice": ("labels", ["양호", "양호"], "the same one twice"),
    "labels that are numbers": ("labels", [0, 1], _NO_TEXT),
    "labels that are lists": ("labels", [["양호"], ["불량"]], _NO_TEXT),
    "a label too many": ("labels", ["양호", "불량", "보류"], "for 3 labels"),
    "other pixels": ("input_pixels", 64, "images of 64 pixels"),
    "no pixels": ("input_pixels", 0, _NO_SIZE),
    "fewer pixels than none": ("input_pixels", -224, _NO_SIZE),
    "half a pixel": ("input_pixels", 224.5, _NO_SIZE),
    "pixels as text": ("input_pixels", "224", _NO_SIZE),
    "pixels of truth": ("input_pixels", True, _NO_SIZE),
    "another width": ("feature_width", 4, "the manifest says 4 wide"),
    "no width": ("feature_width", None, _NO_SIZE),
    "a width beyond all numbers": ("feature_width", 10**40, "the manifest says 1" + "0" * 40 + " wide"),
    "no engines": ("engines", {}, "no openvino model"),
    "engines in a list": ("engines", [_XML], _UNREADABLE),
    "an engine that is null": ("engines", {"openvino": None}, _NO_TEXT),
    "an engine that is not listed": ("engines", {"openvino": "openvino/other.xml"}, _MISSING),
    "an engine elsewhere": ("engines", {"openvino": "../../etc/passwd"}, _MISSING),
    "files in a list": ("files", [_XML, _GOLDEN], _UNREADABLE),
    "no files": ("files", {}, _MISSING),
    "no golden predictions": ("golden", ..., _UNREADABLE),
    "golden predictions null": ("golden", None, _UNREADABLE),
    "golden predictions not listed": ("golden", {"file": "other.npz"}, _MISSING),
    "golden predictions with more": ("golden", {"file": _GOLDEN, "code": "import os"}, _UNREADABLE),
    "a tolerance as text": ("golden", {"file": _GOLDEN, "tolerance": "0.1"}, "tolerance that is no number"),
    "a tolerance of anything": ("golden", {"file": _GOLDEN, "tolerance": float("inf")}, "allows any answer"),
    "a tolerance of nothing": ("golden", {"file": _GOLDEN, "tolerance": float("nan")}, "tolerance that is no number"),
    "tolerances that are numbers": ("golden", {"file": _GOLDEN, "tolerances": 1}, _UNREADABLE),
    "a threshold beyond all cosines": ("threshold", 1.5, "no cosine"),
    "a threshold that is no number": ("threshold", float("nan"), "no cosine"),
    "a threshold as text": ("threshold", "0.5", "no cosine"),
    "a field nobody knows": ("pickle", "gASVDgAAAAAA", _UNREADABLE),
    "a run that is null": ("run_id", None, _NO_TEXT),
    "a dataset that is a list": ("dataset_id", [], _NO_TEXT),
}
# Of the manifest: one more path, and what is said of it.
_PATHS = {
    "out of the folder": ("../model.bin", _UNSAFE),
    "from the root": ("/etc/model.bin", _UNSAFE),
    "with a NUL": ("a\0.bin", _UNSAFE),
    "as on Windows": ("..\\model.bin", _UNSAFE),
    "of no name": ("", _UNSAFE),
    "of a folder": ("openvino/", _UNSAFE),
    "by another way": ("./openvino/model.bin", _UNSAFE),
    "with two slashes": ("openvino//model.bin", _UNSAFE),
    "below a file": ("openvino/model.bin/more.bin", _UNSAFE),
    "of a long name": ("n" * 300 + ".bin", _UNSAFE),
    "of many folders": ("a/" * 600 + "model.bin", _UNSAFE),
    "of Python": ("openvino/setup.py", _CODE),
    "of a library": ("openvino/libcustom.so", _CODE),
    "of a pickle": ("weights.pkl", _CODE),
    "of Keras": ("model.keras", _CODE),
    "without an ending": ("openvino/model", _CODE),
    "with an ending in capitals": ("openvino/model.BIN", _CODE),
    "hidden": (".bin", _CODE),
}


def _with(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _zip(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in members.items():
            made.writestr(f"{name}.npy", body)
    return out.getvalue()


_IMAGES, _SAID = np.zeros((1, 224, 224, 3), np.uint8), np.zeros((1, 2), np.float32)
# Files that are what their hash says, and no use.
_CONTENT: dict[str, tuple[Callable[[], Files], str]] = {
    "golden predictions in no archive": (lambda: {_GOLDEN: b"PK\x03\x04 and no more"}, "cannot be read"),
    "golden predictions of nothing": (lambda: {_GOLDEN: b""}, "cannot be read"),
    "golden predictions with pickles": (
        lambda: {_GOLDEN: _with(images=np.array([{"a": 1}]), probabilities=_SAID)},
        "cannot be read",
    ),
    "golden predictions without answers": (lambda: {_GOLDEN: _with(images=_IMAGES)}, "golden.npz"),
    "golden predictions without images": (
        lambda: {_GOLDEN: _with(images=_IMAGES[:0], probabilities=_SAID[:0])},
        "empty or incomplete",
    ),
    "more golden images than answers": (
        lambda: {_GOLDEN: _with(images=np.repeat(_IMAGES, 2, 0), probabilities=_SAID)},
        "empty or incomplete",
    ),
    "golden answers in whole numbers": (
        lambda: {_GOLDEN: _with(images=_IMAGES, probabilities=_SAID.astype(int))},
        "no images with what is said of them",
    ),
    "golden answers that are none": (
        lambda: {_GOLDEN: _with(images=_IMAGES, probabilities=np.full_like(_SAID, np.nan))},
        "golden predictions differ",
    ),
    "golden predictions that lie": (
        lambda: {_GOLDEN: _zip(images=b"\x93NUMPY\x01\x00\x00\x01" + b"{'descr': '|u1', 'shape': (9999999999,)}")},
        "golden.npz",
    ),
    "a network of nothing": (lambda: {_XML: b""}, "cannot load openvino/model.xml"),
    "a network that is a page": (lambda: {_XML: b"<html><body>404</body></html>"}, "cannot load openvino/model.xml"),
    "a network of entities": (
        lambda: {_XML: b'<!DOCTYPE x [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><net name="&b;"/>'},
        "cannot load openvino/model.xml",
    ),
    "no weights": (lambda: {_BIN: b""}, "openvino"),
    "reasons in no archive": (lambda: {REASONS: b"reasons"}, "reasons.npz cannot be read"),
    "reasons for another width": (
        lambda: {REASONS: _with(names=np.array(["a"]), weights=np.zeros((9, 1), np.float32), bias=_SAID[0, :1])},
        "does not fit features of width 3",
    ),
    "reasons without numbers": (
        lambda: {REASONS: _with(names=np.array(["a"]), weights=np.full((3, 1), np.inf, np.float32), bias=_SAID[0, :1])},
        "not finite",
    ),
}


def artifacts() -> Iterator[tuple[str, Files, str]]:
    """Name, files and what is said; the manifest's hash is right in all of them."""
    sound = tiny_artifact()
    manifest = json.loads(sound[MANIFEST])
    for name, (field, value, because) in _FIELDS.items():
        yield name, {**sound, MANIFEST: _said(manifest, {field: value})}, because
    for name, (path, because) in _PATHS.items():
        yield (
            f"a path {name}",
            {**sound, MANIFEST: _said(manifest, {"files": manifest["files"] | {path: _HASH}})},
            because,
        )
    for name, (make, because) in _CONTENT.items():
        files = make()
        hashes = {path: hashlib.sha256(body).hexdigest() for path, body in files.items()}
        yield name, {**sound, **files, MANIFEST: _said(manifest, {"files": manifest["files"] | hashes})}, because
    for name, body in _NO_MANIFESTS.items():
        yield name, {**sound, MANIFEST: body}, _UNREADABLE


_NO_MANIFESTS = {
    "a manifest of nothing": b"",
    "a manifest that is a list": b"[]",
    "a manifest that is a text": b'"manifest"',
    "a manifest of deep lists": b"[" * 100_000,
    "a manifest that is no UTF-8": b"\xff\xfe{}",
    "a manifest of a number of 5000 digits": b'{"format": 1' + b"0" * 5000 + b"}",
}


def _said(manifest: Mapping[str, Any], changes: Mapping[str, Any]) -> bytes:
    fields = {**manifest, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()

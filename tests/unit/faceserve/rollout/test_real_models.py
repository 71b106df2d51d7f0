"""Real models are loaded, refused and exchanged while requests flow."""

import io
import json
import threading

import numpy as np
import pytest

from faceserve.engines.base import factory
from faceserve.errors import BadArtifact, NoModel
from faceserve.metrics import Metrics
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination
from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from faceserve.rollout.changes import Changes
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.rules import Keeping, Rules
from include.contract.manifest import MANIFEST, REASONS, Golden
from tests.tiny_model import FolderSource, manifest_sha256, tiny_artifact
from tests.waiting import until

MODELS = ("laundry", "face")
DARK = np.full((1, 224, 224, 3), 5, np.uint8)


class Replica:
    """A manager over objects in memory; `restarted` is a new process on the same disk."""

    def __init__(self, folder, source=None):
        self.folder = folder
        self.source = source or FolderSource()
        examination = Examination("openvino", ("f32",))
        cache = ArtifactCache(folder / "artifacts", self.source, examination.keys)
        loader = Loader(cache, examination, factory("openvino", 1))
        changes = Changes(Metrics(MODELS))
        self.manager = ModelLifecycleManager(MODELS, loader, folder, changes, Rules(Keeping(drain_seconds=60)))

    def prepare(self, version, files=None):
        sha256 = self.source.put(f"s3://models/{version}/", files or tiny_artifact(sharpness=8 + len(version)))
        return self.manager.prepare("laundry", Origin(version, f"s3://models/{version}/", sha256))

    def serve(self, version, files=None):
        self.prepare(version, files)
        return self.manager.activate("laundry", version)

    def prepared(self):
        return [one.version for one in self.manager.snapshot("laundry").prepared]

    def serving(self):
        active = self.manager.snapshot("laundry").active
        return active.origin.version if active else None

    def restarted(self):
        return Replica(self.folder, self.source)


@pytest.fixture
def replica(tmp_path):
    return Replica(tmp_path)


@pytest.fixture(scope="module")
def artifact():
    return tiny_artifact()


def test_preparing_a_model_changes_nothing_that_serves(replica, artifact):
    replica.prepare("v1.0.0", artifact)
    assert replica.serving() is None
    with pytest.raises(NoModel), replica.manager.lease("laundry"):
        pass


def test_an_activated_model_answers_and_names_itself(replica, artifact):
    replica.serve("v1.0.0", artifact)
    with replica.manager.lease("laundry") as lease:
        generation, epoch = lease.generation, lease.epoch
        answer = generation.engine.infer(DARK).probabilities[0]
    assert (generation.origin.version, epoch) == ("v1.0.0", 1)
    assert generation.labels[int(answer.argmax())] == "불량"


def test_a_request_in_flight_finishes_on_the_model_it_began_with(replica, artifact):
    replica.serve("v1.0.0", artifact)
    with replica.manager.lease("laundry") as lease:
        generation = lease.generation
        for version in ("v1.1.0", "v1.2.0", "v1.3.0"):
            replica.serve(version)
        assert generation.origin.version == "v1.0.0"
        assert generation.engine.infer(DARK).probabilities.shape == (1, 2)
    assert replica.serving() == "v1.3.0"


def test_no_request_fails_while_models_are_swapped(replica, artifact):
    replica.serve("v1.0.0", artifact)
    answers, errors, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                with replica.manager.lease("laundry") as lease:
                    lease.generation.engine.infer(DARK)
                    answers.append((lease.epoch, lease.generation.origin.version))
            except Exception as error:  # noqa: BLE001 - any failure is one
                errors.append(error)
            # Askers that never pause take the processor from what is prepared.
            stop.wait(0.005)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for number in range(1, 9):
        replica.serve(version := f"v1.{number}.0")
        until(lambda wanted=version: errors or wanted in {answered for _, answered in answers}, "it to answer")
    stop.set()
    for asker in askers:
        asker.join()
    assert errors == []
    assert all(version == f"v1.{epoch - 1}.0" for epoch, version in answers)


def test_a_damaged_byte_on_disk_is_found_at_restart_and_the_artifact_is_fetched_again(replica, artifact):
    replica.serve("v1.0.0", artifact)
    (weights,) = replica.folder.glob("artifacts/*/openvino/model.bin")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"x")
    again = replica.restarted()
    assert again.manager.restore({}) == {}
    assert (again.serving(), weights.read_bytes()) == ("v1.0.0", whole)


def test_damaged_on_disk_and_gone_from_the_store_makes_way_for_what_served_before(replica, artifact):
    replica.serve("v1.0.0", artifact)
    replica.serve("v1.1.0")
    sha256 = replica.manager.snapshot("laundry").active.origin.manifest_sha256
    (replica.folder / "artifacts" / sha256 / "openvino/model.bin").write_bytes(b"x")
    replica.source.objects.clear()
    again = replica.restarted()
    assert "missing" in str(again.manager.restore({})["laundry"])
    assert again.serving() == "v1.0.0"


def _changed(path, body):
    return lambda files: files | {path: body(files[path])}


def _said(files, **fields):
    """The manifest says something else."""
    return files | {MANIFEST: json.dumps(json.loads(files[MANIFEST]) | fields).encode()}


def _npz():
    """Of every array that a server reads, none of which is of its kind."""
    out = io.BytesIO()
    np.savez(out, **dict.fromkeys(("images", "probabilities", "names", "weights", "bias"), np.array([7, 8])))
    return out.getvalue()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_changed("openvino/model.bin", lambda b: b[:-4]), "sha256"),
        (_changed("openvino/model.xml", lambda b: b.replace(b"tiny", b"evil")), "sha256"),
        (_changed("golden.npz", lambda b: b""), "sha256"),
        (lambda files: {k: v for k, v in files.items() if k != "openvino/model.bin"}, "missing"),
        (lambda files: {k: v for k, v in files.items() if k != MANIFEST} | {MANIFEST: b"{"}, "cannot be read"),
        (lambda files: tiny_artifact(golden_shift=0.2), "golden predictions differ"),
        (lambda files: tiny_artifact(golden_shift=float("nan")), "golden predictions differ"),
        (lambda files: tiny_artifact(sharpness=float("nan"), golden_shift=0), "not finite"),
        (lambda files: tiny_artifact(labels=("양호", "불량", "보류")), "shape"),
        (lambda files: tiny_artifact(labels=("양호", "양호")), "same one twice"),
        (lambda files: tiny_artifact(labels=(1, 2)), "no text"),
        (lambda files: _said(files, labels=("양호", "\ud800")), "no text"),
        (lambda files: tiny_artifact(labels=(["양호"], "불량")), "no text"),
        (lambda files: _said(files, feature_width=3.0), "no positive whole number"),
        (lambda files: tiny_artifact(beside={"odd.npz": _npz()[:-9]}, golden=Golden("odd.npz")), "cannot be read"),
        (lambda files: tiny_artifact(beside={"odd.npz": _npz()}, golden=Golden("odd.npz")), "no images"),
        (lambda files: tiny_artifact(beside={REASONS: _npz()[:-9]}), "cannot be read"),
        (lambda files: tiny_artifact(beside={REASONS: _npz()}), "needs texts"),
        (lambda files: tiny_artifact(model_type="FACE"), "FACE model"),
        (lambda files: tiny_artifact(engines={"onnx": "openvino/model.xml"}), "no openvino model"),
        (lambda files: tiny_artifact(engines={"openvino": "openvino/model.bin"}), "cannot load"),
        (lambda files: tiny_artifact(format=7), "manifest format 7"),
        (lambda files: tiny_artifact(files={"model.pkl": "0" * 64}), "cannot carry code"),
        (lambda files: tiny_artifact(files={"savedmodel/keras_metadata.keras": "0" * 64}), "cannot carry code"),
        (lambda files: tiny_artifact(files={"openvino/extension.so": "0" * 64}), "cannot carry code"),
        (lambda files: tiny_artifact(files={"../../etc/passwd": "0" * 64}), "unsafe path"),
    ],
)
def test_a_model_that_must_not_serve_is_refused_and_the_old_one_stays(replica, artifact, spoil, reason):
    replica.serve("v1.0.0", artifact)
    bad = spoil(tiny_artifact(run_id="candidate"))
    with pytest.raises(BadArtifact, match=reason):
        replica.prepare("v1.1.0", bad)
    assert replica.serving() == "v1.0.0"
    assert replica.prepared() == []


def test_reasons_are_looked_at_where_the_model_is_tried_out(tmp_path):
    """In a process of its own, if there is one; `load` alone would meet them in the server first."""
    examination = Examination("openvino", ("f32",))
    source = FolderSource()
    cache = ArtifactCache(tmp_path, source, examination.keys)
    sha256 = source.put("s3://models/v1.0.0/", tiny_artifact(beside={REASONS: _npz()}))
    loader = Loader(cache, examination, factory("openvino", 1))
    with pytest.raises(BadArtifact, match=REASONS):
        loader.examine("laundry", Origin("v1.0.0", "s3://models/v1.0.0/", sha256))


def test_an_artifact_whose_manifest_was_exchanged_is_refused(replica, artifact):
    replica.source.put("s3://models/v1.0.0/", artifact)
    with pytest.raises(BadArtifact, match="sha256 the command gave"):
        sha256 = manifest_sha256(tiny_artifact(run_id="other"))
        replica.manager.prepare("laundry", Origin("v1.0.0", "s3://models/v1.0.0/", sha256))

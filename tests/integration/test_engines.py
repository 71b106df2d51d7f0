"""One artifact, every engine: the same answers, and the server chooses what the processor does well."""

import json
import shutil

import numpy as np
import onnx
import pytest

from faceserve.engines import base
from faceserve.engines.base import artifact_key, factory
from faceserve.errors import BadArtifact
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination
from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from include.bench.artifacts import Folder, artifact
from include.contract.manifest import MANIFEST, ArtifactManifest

pytestmark = pytest.mark.integration

URI = "s3://bench/"
RUNS = [("openvino", "f32"), ("openvino", "int8"), ("onnxruntime", "f32"), ("tensorflow", "f32")]
if "bf16" in base.precisions("openvino", "auto"):
    RUNS.append(("openvino", "bf16"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a small network exported in every format, and its manifest's sha256."""
    folder = tmp_path_factory.mktemp("artifact")
    return folder, artifact("small", Folder(folder), URI, formats=("int8", "onnx"))


@pytest.fixture(scope="module")
def manifest(made):
    folder, _ = made
    return ArtifactManifest.from_json((folder / MANIFEST).read_bytes())


@pytest.mark.parametrize(("engine", "precision"), RUNS)
def test_every_engine_answers_as_the_trainer_did(made, manifest, engine, precision):
    folder, _ = made
    loaded = factory(engine, 1)(folder / manifest.engines[artifact_key(engine, precision)], precision)
    with np.load(folder / "golden.npz") as golden:
        images, expected = golden["images"], golden["probabilities"]
    found = loaded.infer(images)
    allowed = manifest.golden.allowed(precision)
    assert np.abs(found.probabilities - expected).max() <= allowed
    # Of what is not so near the middle that either may be said; a network this small is sure of little.
    decided = np.abs(expected[:, 0] - expected[:, 1]) > 2 * allowed
    assert (found.probabilities.argmax(1) == expected.argmax(1))[decided].all()
    assert found.features.shape == (len(images), manifest.feature_width)
    assert found.probabilities.dtype == found.features.dtype == np.float32
    loaded.close()


@pytest.mark.parametrize(("engine", "precision"), RUNS)
def test_a_batch_gets_the_same_answers_as_its_images_alone(made, manifest, engine, precision):
    folder, _ = made
    loaded = factory(engine, 1)(folder / manifest.engines[artifact_key(engine, precision)], precision)
    loaded.prepare([4])
    images = np.random.default_rng(7).integers(0, 256, (4, 224, 224, 3), np.uint8)
    together = loaded.infer(images)
    alone = [loaded.infer(images[n : n + 1]).probabilities[0] for n in range(4)]
    assert together.probabilities == pytest.approx(np.stack(alone), abs=0.01)
    loaded.close()


@pytest.mark.parametrize(
    ("engine", "file", "named"),
    [
        ("openvino", "onnx/model.onnx", "model.onnx"),
        ("onnxruntime", "onnx/model.onnx", "model.bin"),
        ("tensorflow", "savedmodel/saved_model.pb", "model.pb"),
    ],
)
def test_an_engine_takes_its_own_format_under_its_own_name_only(made, tmp_path, engine, file, named):
    """What a library makes of another name is its own choice: another reader, or another file."""
    folder, _ = made
    copy = shutil.copytree((folder / file).parent, tmp_path / "copy")
    shutil.copy(folder / file, copy / named)
    with pytest.raises(ValueError, match="is needed"):
        factory(engine, 1)(copy / named, "f32")


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/hostname", "sub/../../secret.bin"])
def test_weights_outside_the_artifact_are_never_read(tmp_path, place):
    """ONNX Runtime itself sees to that; another release must, too."""
    (tmp_path / "secret.bin").write_bytes(np.ones(3, np.float32).tobytes())
    path = tmp_path / "onnx" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(with_weights_at(place))
    with pytest.raises(Exception, match="escapes|Absolute"):
        factory("onnxruntime", 1)(path, "f32")


def with_weights_at(place):
    """An ONNX network whose weights are elsewhere."""
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[3])
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", place), ("length", "12")):
        weights.external_data.add(key=key, value=value)
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("ReduceMean", ["floats"], ["means"], axes=[1, 2], keepdims=0),
        onnx.helper.make_node("Add", ["means", "w"], ["features"]),
        onnx.helper.make_node("Softmax", ["features"], ["probabilities"]),
    ]
    images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", 224, 224, 3])
    answers = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3])
        for name in ("probabilities", "features")
    ]
    graph = onnx.helper.make_graph(nodes, "elsewhere", [images], answers, [weights])
    opset = onnx.helper.make_opsetid("", 13)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def loader(made, tmp_path, engine="openvino", precisions=("f32",), **changes):
    folder, _ = made
    examination = Examination(engine, precisions)
    cache = ArtifactCache(tmp_path, changes.get("source", FolderCopy(folder)), examination.keys)
    return Loader(cache, examination, factory(engine, 1))


class FolderCopy:
    """The artifact's files, some of them replaced."""

    def __init__(self, folder, **replaced):
        self.folder = folder
        self.replaced = {path.replace("__", "/"): body for path, body in replaced.items()}

    def read(self, uri, at_most_bytes=1 << 30):
        path = uri.removeprefix(URI)
        return self.replaced.get(path) or (self.folder / path).read_bytes()

    def chunks(self, uri):
        yield self.read(uri)


def test_auto_takes_reduced_precision_only_where_the_golden_predictions_allow_it(made, tmp_path):
    folder, sha256 = made
    origin = Origin("v1.0.0", URI, sha256)
    fast = base.precisions("openvino", "auto")
    assert loader(made, tmp_path / "1", precisions=fast).load("laundry", origin).generation.precision == fast[0]
    strict = json.loads((folder / MANIFEST).read_bytes())
    strict["golden"]["tolerances"] = {"bf16": 0.0}
    body = json.dumps(strict).encode()
    source = FolderCopy(folder, **{MANIFEST: body})
    from include.contract.manifest import sha256 as hashed

    origin = Origin("v1.0.0", URI, hashed(body))
    chosen = loader(made, tmp_path / "2", precisions=fast, source=source).load("laundry", origin).generation.precision
    assert chosen == "f32"


@pytest.mark.parametrize("engine", ["onnxruntime", "tensorflow"])
def test_other_engines_load_the_same_artifact(made, tmp_path, engine):
    _, sha256 = made
    generation = loader(made, tmp_path, engine).load("laundry", Origin("v1.0.0", URI, sha256)).generation
    assert generation.labels == ("양호", "불량")


@pytest.mark.parametrize(("engine", "precision"), [("onnxruntime", "int8"), ("tensorflow", "bf16"), ("tflite", "auto")])
def test_what_an_engine_cannot_do_is_said_at_start(engine, precision):
    with pytest.raises(ValueError, match="cannot do|unknown engine"):
        base.precisions(engine, precision)


def test_an_artifact_without_the_format_asked_for_is_refused(tmp_path):
    folder = tmp_path / "plain"
    sha256 = artifact("small", Folder(folder), URI)
    with pytest.raises(BadArtifact, match="no onnxruntime model, only openvino, tensorflow"):
        loader((folder, sha256), tmp_path / "cache", "onnxruntime").load("laundry", Origin("v1.0.0", URI, sha256))

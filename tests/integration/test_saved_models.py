"""A SavedModel may calculate, and nothing else: what a graph can do besides is refused before it is loaded."""

import os

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from faceserve.engines.base import factory
from faceserve.engines.tensorflow_ops import CALCULATING, STATEFUL, beyond_calculating

pytestmark = pytest.mark.integration

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def reads(tf, place):
    return tf.strings.length(tf.io.read_file("/etc/hostname"))


def writes(tf, place):
    tf.io.write_file(f"{place}/written", "text")
    return 0


def prints_into_a_file(tf, place):
    tf.print("text", output_stream=f"file://{place}/written")
    return 0


def saves(tf, place):
    tf.raw_ops.SaveV2(prefix=f"{place}/written", tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1.0)])
    return 0


def lists(tf, place):
    return tf.size(tf.io.matching_files("/etc/*"))


def calls_python(tf, place):
    return tf.numpy_function(lambda: np.int32(os.getpid()), [], tf.int32)


def iterates_over_files(tf, place):
    return tf.data.TextLineDataset("/etc/hostname").reduce(0, lambda count, _: count + 1)


def keeps_a_state(tf, place):
    return tf.size(tf.raw_ops.TensorArrayV3(size=1, dtype=tf.float32).flow)


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


def saved(tf, folder, beside=lambda tf, place: 0):
    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec((None, 224, 224, 3), tf.uint8, name="images")])
        def serve(self, images):
            means = tf.reduce_mean(tf.cast(images, tf.float32), (1, 2)) * self.weight
            means += tf.cast(beside(tf, folder), tf.float32)
            return {"probabilities": tf.nn.softmax(means[:, :2]), "features": means}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures=model.serve)
    return folder / "saved_model.pb"


def message(path):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    return SavedModel.FromString(path.read_bytes())


@pytest.mark.parametrize(
    "beside",
    [reads, writes, prints_into_a_file, saves, lists, calls_python, iterates_over_files, keeps_a_state],
    ids=lambda beside: beside.__name__,
)
def test_a_graph_that_does_more_than_calculate_is_refused(tf, tmp_path, beside):
    path = saved(tf, tmp_path, beside)
    with pytest.raises(ValueError, match="the graph does more than calculate: "):
        factory("tensorflow", 1)(path, "f32")
    assert not list(tmp_path.glob("written*"))


@pytest.fixture(scope="module")
def twofold(tf, tmp_path_factory):
    """A folder with a graph that writes, and the bytes of a clean one."""
    folder = tmp_path_factory.mktemp("writes")
    saved(tf, folder, writes)
    return folder, saved(tf, tmp_path_factory.mktemp("clean")).read_bytes()


@given(name=st.from_regex(r"[\w.-]{1,20}\.(pb|index|bin|npz|data-00000-of-00001)", fullmatch=True))
@example(name="model.pb")
@example(name="fingerprint.pb")
@example(name="Saved_model.pb")
def test_no_other_file_than_the_one_that_was_looked_at_is_loaded(twofold, name):
    """TensorFlow is given a folder, and chooses the file itself."""
    folder, clean = twofold
    decoy = folder / name
    assume(name != "saved_model.pb")
    decoy.write_bytes(clean)
    with pytest.raises(ValueError, match=r"saved_model\.pb is needed"):
        factory("tensorflow", 1)(decoy, "f32")
    assert not list(folder.glob("written*"))


def test_a_graph_that_calculates_is_loaded(tf, tmp_path):
    loaded = factory("tensorflow", 1)(saved(tf, tmp_path), "f32")
    assert loaded.infer(np.zeros((2, 224, 224, 3), np.uint8)).features.shape == (2, 3)


def test_what_saves_and_restores_weights_is_allowed_only_where_nobody_calls_it(tf, tmp_path):
    made = message(saved(tf, tmp_path))
    assert beyond_calculating(made) == []
    functions = {one.signature.name: one for one in made.meta_graphs[0].graph_def.library.function}
    (saver,) = [name for name in functions if "traced_save" in name]
    (serve,) = [name for name in functions if "signature_wrapper" in name]
    functions[serve].node_def.add(name="hidden", op="PartitionedCall").attr["f"].func.name = saver
    assert "SaveV2" in beyond_calculating(made)


def test_a_call_of_what_is_no_function_of_the_graph_is_refused(tf, tmp_path):
    made = message(saved(tf, tmp_path))
    made.meta_graphs[0].graph_def.node.add(name="hidden", op="PartitionedCall").attr["f"].func.name = "WriteFile"
    assert beyond_calculating(made) == ["WriteFile"]


@pytest.mark.parametrize(
    "spoil", [lambda m: m.meta_graphs.add(), lambda m: m.meta_graphs[0].ClearField("object_graph_def")]
)
def test_an_odd_saved_model_is_refused(tf, tmp_path, spoil):
    made = message(saved(tf, tmp_path))
    spoil(made)
    with pytest.raises(ValueError, match="not one graph"):
        beyond_calculating(made)


def test_whatever_is_allowed_is_there_and_touches_nothing_outside(tf):
    """Every release has new operations; one that keeps a state or reaches outside is allowed by name alone."""
    from tensorflow.python.framework import op_def_registry

    known = {name: op_def_registry.get(name) for name in CALCULATING}
    assert not [name for name, definition in known.items() if definition is None]
    assert {name for name, definition in known.items() if definition.is_stateful} == STATEFUL
    assert not [
        name for name in CALCULATING if any(word in name for word in ("File", "Py", "Print", "Dataset", "Save"))
    ]


@pytest.mark.parametrize("name", ["EfficientNetLite0", "ResNet50"])
def test_the_usual_networks_need_no_more(tf, name):
    from pipeline.learning.efficientnet_lite0 import backbone

    made = backbone() if name == "EfficientNetLite0" else getattr(tf.keras.applications, name)(weights=None)
    serve = tf.function(lambda images: made(tf.cast(images, tf.float32), training=False))
    graph = serve.get_concrete_function(tf.TensorSpec((None, 224, 224, 3), tf.uint8)).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert {node.op for node in nodes} <= CALCULATING

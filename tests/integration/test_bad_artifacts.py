"""Every kind of bad model, uploaded to S3 and offered to a replica under load: refused before any user meets it."""

import io
import threading

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from include.contract.lifecycle_client import FaceserveError
from include.contract.manifest import MANIFEST, REASONS
from tests.replica.world import offer, vetting_replica
from tests.tiny_model import grey_photo, network, tiny_artifact

pytestmark = pytest.mark.integration

DARK = grey_photo(20)


def to_nothing(features, figure):
    """Adds what took all the work, times nothing."""
    return ops.add(features, ops.multiply(figure, np.float32(0)))


def ten_times_the_work(features):
    weights = ops.constant(np.random.default_rng(0).standard_normal((1500, 1500)).astype(np.float32) / 1500)
    found = ops.add(
        ops.multiply(ops.reduce_mean(features, np.array([0, 1]), keep_dims=False), np.float32(1e-3)), weights
    )
    for _ in range(4):
        found = ops.matmul(found, weights, False, False)
    return to_nothing(features, ops.reduce_mean(found, np.array([0, 1]), keep_dims=False))


def fourteen_gigabytes(features):
    one = ops.reshape(ops.reduce_mean(features, np.array([0, 1]), keep_dims=False), np.array([1, 1]), False)
    wide = ops.sin(ops.broadcast(one, np.array([60_000, 60_000])))
    return to_nothing(features, ops.reduce_max(wide, np.array([0, 1]), keep_dims=False))


def a_loop_without_end(features):
    value = ops.parameter([-1, 3], np.float32, name="value")
    step = ops.sin(ops.add(value, np.float32(1e-3)))
    go_on = ops.constant(np.array([True]))
    loop = ops.loop(ops.constant(np.int64(2**40)), ops.constant(np.array(True)))
    loop.set_function(ov.Model([ops.result(step), ops.result(go_on)], [value], "body"))
    loop.set_special_body_ports([-1, 1])
    loop.set_merged_input(value, features.output(0), step.output(0))
    return to_nothing(features, loop.get_iter_value(step.output(0), -1))


def cut_short(files, path):
    return files | {path: files[path][:-4]}


def without(files, path):
    return {name: body for name, body in files.items() if name != path}


def three_arrays(body):
    out = io.BytesIO()
    np.savez(out, **dict.fromkeys(("names", "weights", "bias"), body))
    return out.getvalue()


NUMBERS = three_arrays(np.array([7, 8]))
BIN, XML = "openvino/model.bin", "openvino/model.xml"
TOO_BUSY = "too busy to try a model"
HANGS = f"did not load and answer within 15 s|{TOO_BUSY}"
KINDS = {
    "truncated weights": (lambda: cut_short(tiny_artifact(), BIN), "sha256"),
    "missing weights": (lambda: without(tiny_artifact(), BIN), "missing"),
    "tampered network": (lambda: tiny_artifact() | {XML: b"<net/>"}, "sha256"),
    "half uploaded, no manifest yet": (lambda: without(tiny_artifact(), MANIFEST), "missing"),
    "old schema": (lambda: tiny_artifact(format=0), "manifest format 0"),
    "other input size": (lambda: tiny_artifact(served=network(pixels=64), input_pixels=64), "images of 64 pixels"),
    "network of another input size": (lambda: tiny_artifact(served=network(pixels=64)), "fails on"),
    "other input datatype": (lambda: tiny_artifact(served=network(datatype=np.float32)), "float32 images"),
    "other number of labels": (lambda: tiny_artifact(labels=("양호", "불량", "보류")), "shape"),
    "swapped classes": (lambda: tiny_artifact(served=network(sharpness=-8.0)), "golden predictions differ"),
    "other answers": (lambda: tiny_artifact(served=network(sharpness=2.0)), "golden predictions differ"),
    "numbers that are not finite": (lambda: tiny_artifact(served=network(sharpness=float("nan"))), "not finite|differ"),
    "no network at all": (lambda: tiny_artifact(engines={"openvino": "golden.npz"}), "cannot load"),
    "only other engines": (lambda: tiny_artifact(engines={"tensorflow": BIN}), "no openvino model"),
    "reasons that are no texts": (lambda: tiny_artifact(beside={REASONS: NUMBERS}), "needs texts as names"),
    "half of its reasons": (lambda: tiny_artifact(beside={REASONS: NUMBERS[:-9]}), "reasons.npz cannot be read"),
    "labels that are no text": (lambda: tiny_artifact(labels=(1, 2)), "no text"),
    "another model's": (lambda: tiny_artifact(model_type="FACE"), "FACE model"),
    "ten times slower": (lambda: tiny_artifact(served=network(detour=ten_times_the_work)), "ms of processor time"),
    "out of memory": (lambda: tiny_artifact(served=network(detour=fourteen_gigabytes)), "fails on|cannot load|memory"),
    "hangs in warm-up": (lambda: tiny_artifact(served=network(detour=a_loop_without_end)), HANGS),
}


@pytest.fixture(scope="module")
def world(running_services, tmp_path_factory):
    with vetting_replica(tmp_path_factory.mktemp("state"), running_services.stack.s3_endpoint, "bad") as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_artifact_is_refused_with_the_reason_while_the_old_one_answers(world, kind):
    make, reason = KINDS[kind]
    version = f"v2.{list(KINDS).index(kind)}.0"
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(world.client.classify("laundry", DARK).model_version)
            # Requests are to go on, not to take the processor from the model on trial.
            stop.wait(0.02)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        with pytest.raises(FaceserveError, match=reason) as caught:
            offer(world, version, make())
    finally:
        stop.set()
        asker.join()
    assert caught.value.code == ("RESOURCE_EXHAUSTED" if TOO_BUSY in str(caught.value) else "FAILED_PRECONDITION")
    assert set(answers) == {"v1.0.0"}
    assert world.lifecycle.status("laundry").prepared == ()


def test_after_all_that_a_good_artifact_is_taken(world):
    offer(world, "v3.0.0", tiny_artifact(run_id="good"))
    assert world.lifecycle.activate("laundry", "v3.0.0").previous == "v1.0.0"

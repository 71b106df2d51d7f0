"""The steps that make a face model leave spans in the trace of their run, as those of laundry do."""

from contextlib import contextmanager
from types import SimpleNamespace

from pipeline.bootstrap.faces import FacePipeline
from pipeline.bootstrap.traced import ALONE, OF_A_FACE_RUN, traced_faces


class Steps:
    def collect_folder(self, run_id):
        return {"dataset_id": "DS-2026-001"}

    collect = learn = judge = finish_run = collect_folder

    def register(self, run_id):
        return "v1.1.0"

    def hot_swap(self, model_type, version):
        return None

    begin_run = force_promote = roll_back = complete_rollback = hot_swap


class Traces:
    def __init__(self):
        self.spans, self.left, self.linked = SimpleNamespace(on=True), [], []

    def run_of(self, *, run_id="", version="", model_type=""):
        return run_id or f"the run of {version}"

    @contextmanager
    def step(self, name, run, said):
        told = dict(said)
        yield SimpleNamespace(set_attributes=told.update)
        self.left.append((name, run, told))

    def collected(self, dataset_id, span, said):
        self.linked.append(dataset_id)


def test_each_step_of_a_face_run_leaves_a_span_that_says_what_came_of_it():
    steps = traced_faces(Steps)()
    steps._w = SimpleNamespace(traces=Traces())
    steps.collect_folder("run-1")
    steps.register("run-1")
    steps.hot_swap("FACE", "v1.1.0")
    of_dataset = {"retraining.run_id": "run-1", "retraining.dataset_id": "DS-2026-001"}
    of_version = {"retraining.model_type": "FACE", "retraining.version": "v1.1.0"}
    assert steps._w.traces.left == [
        ("collect_folder", "run-1", of_dataset),
        ("register", "run-1", {"retraining.run_id": "run-1", "retraining.version": "v1.1.0"}),
        ("hot_swap", "the run of v1.1.0", of_version),
    ]
    assert steps._w.traces.linked == ["DS-2026-001"]


def test_every_step_that_the_dag_of_faces_calls_has_one():
    assert all(hasattr(getattr(FacePipeline, name), "__wrapped__") for name in (*OF_A_FACE_RUN, *ALONE))

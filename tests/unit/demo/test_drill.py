"""The drill's candidates: what a replica accepts, and what only people can tell apart."""

import io

import numpy as np
import openvino as ov
import pytest

from include.demo.drill import finish
from include.demo.drill_models import derived_files
from include.demo.report import Report
from tests.tiny_model import tiny_artifact


@pytest.fixture(scope="module")
def source():
    return {path: body for path, body in tiny_artifact().items() if path != "manifest.json"}


def golden(files):
    return np.load(io.BytesIO(files["golden.npz"]))["probabilities"]


def answers(files, folder):
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    network = ov.Core().compile_model(folder / "openvino/model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return network(np.load(io.BytesIO(files["golden.npz"]))["images"])


def test_upside_down_means_the_other_answer_to_every_photo(source):
    derived = derived_files(source, "golden.npz", upside_down=True)
    assert np.allclose(golden(derived), golden(source)[:, ::-1], atol=1e-5)


def test_the_same_is_the_same(source):
    derived = derived_files(source, "golden.npz", upside_down=False)
    assert np.allclose(golden(derived), golden(source), atol=1e-5)


@pytest.mark.parametrize("upside_down", [True, False])
def test_its_golden_predictions_are_its_own_so_that_no_replica_can_tell(source, tmp_path, upside_down):
    derived = derived_files(source, "golden.npz", upside_down=upside_down)
    found = answers(derived, tmp_path)
    assert np.allclose(found["probabilities"], golden(derived), atol=1e-5)
    assert found["features"].shape == (4, 3)


def test_the_report_names_every_figure_whatever_kept_it_from_being_measured():
    report = Report()
    report.record(canary_promoted=True)
    finish(report)
    assert report.figures == {
        "canary_promoted": True,
        "automatic_rollback_seconds": None,
        "canary_aborted": None,
        "archived": None,
        "restored": None,
    }

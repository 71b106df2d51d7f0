"""GPU utilization through NVML: the busiest one, or none at all."""

import sys
from types import SimpleNamespace

import pytest

from pipeline.adapters.trial_server import _gpu_reader


class NVMLError(Exception):
    """As raised without a driver."""


def driver(*utilizations, works=True):
    def init():
        if not works:
            raise NVMLError("driver not loaded")

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlDeviceGetCount=lambda: len(utilizations),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUtilizationRates=lambda index: SimpleNamespace(gpu=utilizations[index]),
    )


def test_the_busiest_gpu_counts(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", driver(30, 85))
    assert _gpu_reader()() == 0.85


@pytest.mark.parametrize("module", [driver(), driver(works=False), None], ids=["no gpu", "no driver", "no library"])
def test_a_machine_without_gpu_measures_none(monkeypatch, module):
    monkeypatch.setitem(sys.modules, "pynvml", module)
    assert _gpu_reader() is None

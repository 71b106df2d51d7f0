"""Metrics of graphics processors, against a stand-in for NVIDIA's library: no machine of the tests has one."""

from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from faceserve.machine import gpu


class TwoGpus:
    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUtilizationRates(self, device):
        return SimpleNamespace(gpu=(75, 20)[device])

    def nvmlDeviceGetMemoryInfo(self, device):
        return SimpleNamespace(used=(3_000_000_000, 1_000_000_000)[device])


def exposed(registry):
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_every_gpu_is_exposed():
    registry = CollectorRegistry()
    registry.register(gpu.GpuCollector(TwoGpus()))
    assert exposed(registry) == {
        'faceserve_gpu_utilization{gpu="0"}': 0.75,
        'faceserve_gpu_utilization{gpu="1"}': 0.2,
        'faceserve_gpu_memory_used_bytes{gpu="0"}': 3_000_000_000,
        'faceserve_gpu_memory_used_bytes{gpu="1"}': 1_000_000_000,
    }


def test_without_a_gpu_nothing_is_exposed_and_nothing_fails():
    registry = CollectorRegistry()
    gpu.watch(registry)
    assert exposed(registry) == {}

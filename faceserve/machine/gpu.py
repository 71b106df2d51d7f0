"""What the graphics processors do, for Prometheus; nothing where there is none."""

import logging
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

log = logging.getLogger(__name__)


def watch(registry: CollectorRegistry) -> None:
    """Add the graphics processors of this machine to the registry, if NVIDIA's library finds any."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        log.info("no GPU metrics: %s", error)
        return
    registry.register(GpuCollector(pynvml))


class GpuCollector(Collector):
    """Asks at each scrape. `nvml` is NVIDIA's management library, initialised."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def collect(self) -> Iterator[GaugeMetricFamily]:
        busy = GaugeMetricFamily("faceserve_gpu_utilization", "Share of time a kernel ran, 0 to 1", labels=["gpu"])
        used = GaugeMetricFamily("faceserve_gpu_memory_used_bytes", "Memory in use", labels=["gpu"])
        for index in range(self._nvml.nvmlDeviceGetCount()):
            device = self._nvml.nvmlDeviceGetHandleByIndex(index)
            busy.add_metric([str(index)], self._nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100)
            used.add_metric([str(index)], self._nvml.nvmlDeviceGetMemoryInfo(device).used)
        yield busy
        yield used

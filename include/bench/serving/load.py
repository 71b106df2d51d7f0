"""`python -m faceserve load-test` in a process of its own, so that the client's work is not the server's."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faceserve.load_test import Request, read
from include.bench.serving.replicas import MODEL
from include.demo.photos import draw, live_specs

_PHOTOS = 8

Window = tuple[float, float]


class Load:
    """`rate` requests a second for `seconds`; at rate 0, `in_flight` clients that ask again once answered."""

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        rate: float,
        seconds: float,
        in_flight: int = 8,
        protocol: str = "photos",
        more: Sequence[str] = (),
    ) -> None:
        """`more` are further options of the command."""
        self._folder = tempfile.TemporaryDirectory(prefix="bench-load-")
        self._out = Path(self._folder.name, "requests.csv")
        photos = [Path(self._folder.name, f"{number}.jpg") for number in range(_PHOTOS)]
        for path, spec in zip(photos, live_specs(_PHOTOS, seed=1), strict=True):
            path.write_bytes(draw(spec))
        command: list[object] = [sys.executable, "-m", "faceserve", "load-test", *addresses, "--model", MODEL]
        command += ["--rate", rate, "--seconds", seconds, "--in-flight", in_flight, "--protocol", protocol]
        command += [*more, "--out", self._out, *(part for path in photos for part in ("--photo", path))]
        self._process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, env=os.environ)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def requests(self) -> list[Request]:
        """Wait until the time is over; every request that was sent."""
        self._process.wait()
        with self._folder:
            return read(self._out)


@dataclass(frozen=True)
class Pace:
    """What the replicas manage when every client asks again as soon as it is answered."""

    requests_per_second: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    failed: int


def pace(addresses: Sequence[str], *, seconds: float, in_flight: int = 8, protocol: str = "photos") -> Pace:
    """Measure it; the first second is not counted."""
    found = Load(addresses, rate=0, seconds=seconds + 1, in_flight=in_flight, protocol=protocol).requests()
    begin = min(request.due for request in found) + 1
    counted = [request for request in found if request.due >= begin]
    answered = [request.milliseconds for request in counted if request.code == "OK"]
    percentiles = statistics.quantiles(answered, n=100, method="inclusive")
    return Pace(
        len(answered) / seconds,
        statistics.fmean(answered),
        percentiles[49],
        percentiles[98],
        len(counted) - len(answered),
    )


def p99(requests: Sequence[Request], windows: Sequence[Window]) -> float:
    """99th percentile of latency, in milliseconds, of the requests due within the windows; 0 for fewer than two."""
    inside = [r.milliseconds for r in requests if any(begin <= r.due < end for begin, end in windows)]
    return statistics.quantiles(inside, n=100, method="inclusive")[98] if len(inside) > 1 else 0.0


def settle(seconds: float) -> Window:
    """Let time pass; returns the window of time that passed."""
    begin = time.monotonic()
    time.sleep(seconds)
    return begin, time.monotonic()

"""Until when the certificates of the ports count, and those that callers show: for whoever watches."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path

from cryptography import x509
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

# A caller that was not here for so long has gone, or has another name now.
_SEEN_SECONDS = 24 * 3600.0


class Certificates(Collector):
    """`files` are PEM files by what they are, read at every scrape: each may be replaced while the server runs.

    A file that cannot be read has no number. While they are not `whole`, half of new ones, the ports show the last ones
    that were, and so it is told. `now` gives seconds since 1970.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        now: Callable[[], float] = time.time,
        whole: Callable[[], bool] = lambda: True,
    ) -> None:
        self._files, self._now, self._whole = files, now, whole
        self._ends = self._read()
        self._lock = threading.Lock()
        # By name and end, when it was shown last: programs of one name may have a copy each, of which one is forgotten.
        self._shown: dict[tuple[str, float], float] = {}

    def seen(self, caller: str, pem: bytes) -> None:
        """A caller of this name showed its certificate; names are those that the settings allow."""
        if (end := _end(pem, f"the certificate of {caller}")) is not None:
            with self._lock:
                self._shown[caller, end] = self._now()

    def describe(self) -> Iterator[Metric]:
        yield _family()

    def collect(self) -> Iterator[Metric]:
        told = _family()
        if self._whole():
            self._ends = self._read()
        for what, end in self._ends.items():
            told.add_metric((what, ""), end)
        with self._lock:
            late = self._now() - _SEEN_SECONDS
            self._shown = {one: at for one, at in self._shown.items() if at > late}
            ends = sorted(self._shown, key=itemgetter(1), reverse=True)
        for name, end in dict(ends).items():
            told.add_metric(("caller", name), end)
        yield told

    def _read(self) -> Mapping[str, float]:
        return {what: end for what, path in self._files.items() if (end := _end_of(path)) is not None}


def _family() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "faceserve_certificate_expiry_timestamp_seconds",
        "Until when a certificate counts, of a chain, an authority or several copies the one that ends first: server, "
        "which the ports show; client_ca, by which callers are known; caller, which one showed within a day",
        labels=("certificate", "caller"),
    )


def _end_of(path: Path) -> float | None:
    try:
        return _end(path.read_bytes(), str(path))
    except OSError as error:
        log.warning("until when %s counts is not known: %s", path, error)
        return None


def _end(pem: bytes, what: str) -> float | None:
    try:
        return min(one.not_valid_after_utc.timestamp() for one in x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        log.warning("until when %s counts is not known: %s", what, error)
        return None

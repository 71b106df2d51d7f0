"""What every inference engine offers; `faceserve/engines/<name>_engine.py` is all that a new one needs."""

import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
"""RGB [N, H, W, 3]."""

_SUFFIX = "_engine"
# Fastest first; int8 is another file with slightly different answers, so it is only used when asked for.
_AUTOMATIC = ("bf16", "f32")


@dataclass(frozen=True)
class Output:
    """`probabilities` float32 [N, labels], `features` float32 [N, width]."""

    probabilities: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]


class InferenceEngine(Protocol):
    """A loaded model; safe to call from several threads at once."""

    def infer(self, images: Images) -> Output: ...

    def prepare(self, sizes: list[int]) -> None:
        """Warm up, so that calls of these batch sizes are fast from the first on."""

    def close(self) -> None:
        """Release what the model holds; no call may follow."""


EngineFactory = Callable[[Path, str], InferenceEngine]
"""Loads a model file at a precision (`f32`, `bf16`, `int8`)."""


def names() -> list[str]:
    """Every engine there is, installed or not."""
    import faceserve.engines

    modules = pkgutil.iter_modules(faceserve.engines.__path__)
    return sorted(m.name.removesuffix(_SUFFIX) for m in modules if m.name.endswith(_SUFFIX))


def factory(name: str, threads: int) -> EngineFactory:
    """Loads models with the named engine; its library is imported only then. Raises `ValueError` for an unknown one."""
    module = _module(name)
    return lambda path, precision: module.load(path, threads, precision)  # type: ignore[attr-defined]


def precisions(name: str, wanted: str) -> tuple[str, ...]:
    """What to try, in order: `wanted` alone, or for `auto` what this processor does best and then `f32`.

    Raises `ValueError` for a precision that engine or processor do not have.
    """
    known: tuple[str, ...] = _module(name).precisions()  # type: ignore[attr-defined]
    if wanted == "auto":
        return tuple(p for p in _AUTOMATIC if p in known)
    if wanted not in known:
        raise ValueError(f"{name} cannot do {wanted} on this machine, only {', '.join(known)}")
    return (wanted,)


def artifact_key(name: str, precision: str) -> str:
    """The name under which a manifest lists the file for this engine and precision."""
    return f"{name}-int8" if precision == "int8" else name


def demand_entry(path: Path, pattern: str) -> None:
    """Raises `ValueError` for an odd file name: with it a library would read another format, or another file."""
    if not path.match(pattern):
        raise ValueError(f"the model's file is {path.name[:80]!r}, {pattern} is needed")


def demand_uint8(found: npt.DTypeLike) -> None:
    """Raises `ValueError` for other types, which engines would convert silently, or fail on at the first request."""
    if np.dtype(found) != np.uint8:
        raise ValueError(f"the model takes {np.dtype(found)} images, uint8 is needed")


def available_cores() -> int:
    """Cores this process may use: its affinity, and the CPU limit of its container."""
    cores = len(os.sched_getaffinity(0))
    limit = Path("/sys/fs/cgroup/cpu.max")
    if limit.exists():
        quota, period = limit.read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def _module(name: str) -> object:
    if name not in names():
        raise ValueError(f"unknown engine {name!r}, only {', '.join(names())}")
    return importlib.import_module(f"faceserve.engines.{name}{_SUFFIX}")

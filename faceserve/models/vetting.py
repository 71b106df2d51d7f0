"""A candidate is tried out in a process of its own, where it can crash, hang or swell and harm nobody (ADR 0010).

The process is forked from one that has imported what it needs and does nothing else, so that trying a candidate out
costs what the candidate costs. It runs when nothing else wants the processor.
"""

import importlib
import multiprocessing
import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path

from faceserve.engines.base import factory
from faceserve.errors import BadArtifact, DiskUnusable, ObjectRefused, ServingError, StorageUnavailable
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination, Examined
from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from faceserve.storage import Source

_LOWEST_PRIORITY = "faceserve.machine.lowest_priority"
_PASSED_ON = (BadArtifact, DiskUnusable, ObjectRefused, StorageUnavailable)
_ERRORS: dict[str, type[ServingError]] = {error.__name__: error for error in _PASSED_ON}


@dataclass(frozen=True)
class ChildVetting:
    """Waits at most `seconds` for the child's answer; the child may take `memory_bytes` of memory."""

    artifacts: Path
    source: Callable[[], Source]
    examination: Examination
    threads: int
    seconds: float
    memory_bytes: int
    public_key: Path | None = None

    def start(self) -> None:
        """Have the process ready that children are forked from: importing what they need takes a second."""
        # The first import lowers the priority of that process and, with it, of all that are forked from it.
        forkserver.set_forkserver_preload(
            [_LOWEST_PRIORITY, __name__, f"faceserve.engines.{self.examination.engine}_engine", "boto3"]
        )
        forkserver.ensure_running()

    def __call__(self, model: str, origin: Origin) -> Examined:
        """Raises `BadArtifact` or `StorageUnavailable`."""
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_vet, args=(theirs, self, model, origin), daemon=True)
        child.start()
        theirs.close()
        try:
            wait([ours, child.sentinel], timeout=self.seconds)
            if ours.poll():
                return self._word(ours, child)
            if child.is_alive():
                raise BadArtifact(f"the model did not load and answer within {self.seconds:g} s")
            return self._crashed(child)
        finally:
            child.kill()
            child.join()
            ours.close()

    def _word(self, ours: Connection, child: "multiprocessing.process.BaseProcess") -> Examined:
        try:
            found: Examined | tuple[str, str] = ours.recv()
        except EOFError:
            return self._crashed(child)
        if isinstance(found, Examined):
            return found
        kind, text = found
        raise _ERRORS.get(kind, BadArtifact)(text)

    def _crashed(self, child: "multiprocessing.process.BaseProcess") -> Examined:
        child.join(1)
        status = child.exitcode or 0
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        raise BadArtifact(f"the model crashes its process ({how})")


def _vet(word: Connection, vetting: ChildVetting, model: str, origin: Origin) -> None:
    """In the child."""
    importlib.import_module(_LOWEST_PRIORITY)
    resource.setrlimit(resource.RLIMIT_DATA, (vetting.memory_bytes, vetting.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    examination = vetting.examination
    cache = ArtifactCache(vetting.artifacts, vetting.source(), examination.keys, vetting.public_key)
    loader = Loader(cache, examination, factory(examination.engine, vetting.threads))
    try:
        word.send(loader.examine(model, origin))
    except MemoryError:
        word.send(("BadArtifact", f"the model needs more than {vetting.memory_bytes >> 20} MB of memory"))
    except Exception as error:  # noqa: BLE001 - the parent raises it again
        word.send((type(error).__name__, str(error)))

"""A candidate is tried out in a process of its own, where it can crash, hang or swell and harm nobody (ADR 0010).

The process is forked from one that has imported what it needs and does nothing else, so that trying a candidate out
costs what the candidate costs. It runs when nothing else wants the processor.
"""

import fcntl
import importlib
import logging
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import forkserver, util
from multiprocessing.connection import Connection, wait
from pathlib import Path

from faceserve.engines.base import factory
from faceserve.errors import (
    BadArtifact,
    DiskUnusable,
    NoVerdict,
    ObjectRefused,
    ServingError,
    StorageUnavailable,
    TooLate,
)
from faceserve.machine.memory import room_bytes, scratch_folder
from faceserve.machine.processor import Spent
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination, Examined
from faceserve.models.generation import Origin
from faceserve.models.loading import GoOn, Loader
from faceserve.storage import Source

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
# A busy machine may make a candidate take this many times as long as it is allowed; then nobody waits any longer.
_PATIENCE = 4
_LEAST_BYTES = 256 << 20
# A reserve for what serves, should it need more meanwhile.
_SPARE_BYTES = 128 << 20
# The child's first word: from now on the time is the candidate's, no longer the store's, and so is what fails.
_HAS_FILES = "has files", ""
_Word = Examined | tuple[str, str]
_LOWEST_PRIORITY = "faceserve.machine.lowest_priority"
_PASSED_ON = (BadArtifact, DiskUnusable, NoVerdict, ObjectRefused, StorageUnavailable)
# Where multiprocessing looks for a folder is said to the whole program, so only one does at a time.
_BEGINNING = threading.Lock()
_ERRORS: dict[str, type[ServingError]] = {error.__name__: error for error in _PASSED_ON}


@dataclass(frozen=True)
class ChildVetting:
    """The child may take `seconds`, in which it computes or waits for anything but the processor, and `memory_bytes`.

    It gets no more memory than there is `room` for beside what serves, so that a container's limit kills nobody.
    """

    artifacts: Path
    source: Callable[[], Source]
    examination: Examination
    threads: int
    seconds: float
    memory_bytes: int
    public_key: Path | None = None
    room: Callable[[], float] = room_bytes

    def start(self) -> None:
        """Have the process ready that children are forked from: importing what they need takes a second.

        What serves needs no candidate: where that process cannot be had, the next one that comes tries again.
        """
        try:
            self._ready()
        except (DiskUnusable, NoVerdict) as error:
            log.warning("%s", error)

    def _ready(self) -> None:
        """Raises `DiskUnusable`: the process's socket has its place in a folder; `NoVerdict` while that is gone and a
        model is still tried by what was reached there.
        """
        # The first import lowers the priority of that process and, with it, of all that are forked from it.
        forkserver.set_forkserver_preload(
            [_LOWEST_PRIORITY, __name__, f"faceserve.engines.{self.examination.engine}_engine", "boto3"]
        )
        with _BEGINNING:
            usual, tempfile.tempdir = tempfile.tempdir, tempfile.tempdir or scratch_folder()
            try:
                _reach_again()
                forkserver.ensure_running()
            except OSError as error:
                raise DiskUnusable(f"no process can be started that tries models out: {error}") from error
            finally:
                tempfile.tempdir = usual

    def __call__(self, model: str, origin: Origin, go_on: GoOn = lambda: None) -> Examined:
        """Raises `BadArtifact`, `StorageUnavailable`, `DiskUnusable`, `NoVerdict`, or what `go_on` does."""
        self._ready()
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe(duplex=False)
        allowed = replace(self, memory_bytes=self._allowed_bytes(), room=room_bytes)
        child = context.Process(target=_vet, args=(theirs, allowed, model, origin), daemon=True)
        try:
            child.start()
        except OSError as error:
            raise NoVerdict(f"no process can be started that tries the model out: {error}") from error
        theirs.close()
        try:
            self._await_files(ours, child, go_on)
            word = _heard(ours)
            unforeseen: type[ServingError] = NoVerdict
            if word is None:
                raise NoVerdict(f"the process that fetches the model ended before its files had come ({_how(child)})")
            if word == _HAS_FILES:
                self._await_answer(ours, child, go_on)
                unforeseen = BadArtifact
                word = _heard(ours) or ("BadArtifact", f"the model crashes its process ({_how(child)})")
            if isinstance(word, Examined):
                return word
            kind, text = word
            raise _ERRORS.get(kind, unforeseen)(text)
        finally:
            child.kill()
            child.join()
            ours.close()

    def _allowed_bytes(self) -> int:
        room = self.room() - _SPARE_BYTES
        if room < _LEAST_BYTES:
            raise NoVerdict(
                f"there is room for {max(0, int(room)) >> 20} MB beside what serves, too little to try a model"
            )
        return int(min(self.memory_bytes, room))

    def _await_files(self, ours: Connection, child: "multiprocessing.process.BaseProcess", go_on: GoOn) -> None:
        """Or until it has said something else, or ended. A store that gives nothing is no fault of the candidate.

        What comes is fetched to its end though its caller's time is over: who asks again finds it. Otherwise files that
        take longer than anybody waits would never be here.
        """
        until = time.monotonic() + _PATIENCE * self.seconds
        while not wait([ours, child.sentinel], timeout=_LOOK_SECONDS):
            with suppress(TooLate):
                go_on()
            if time.monotonic() > until:
                raise StorageUnavailable(f"the model's files did not come within {_PATIENCE * self.seconds:g} s")

    def _await_answer(self, ours: Connection, child: "multiprocessing.process.BaseProcess", go_on: GoOn) -> None:
        """Until it has said something or ended."""
        assert child.pid is not None
        spent, began = Spent(child.pid), time.monotonic()
        while not wait([ours, child.sentinel], timeout=_LOOK_SECONDS):
            go_on()
            if spent.look() > self.seconds:
                raise BadArtifact(f"the model did not load and answer within {self.seconds:g} s")
            if time.monotonic() - began > _PATIENCE * self.seconds:
                raise NoVerdict(
                    f"the machine is too busy to try a model: {spent.seconds:.0f} s of work are not done yet"
                )


def _reach_again() -> None:
    """Where somebody cleared away the process's socket, or the folder that `multiprocessing` makes once for it, the
    process ends, so that the next one has its own. Raises `NoVerdict` while a model is still tried by it, or `OSError`.
    """
    folder = Path(util.get_temp_dir())
    if not folder.is_dir():
        folder.mkdir(mode=0o700)
    # There is no other way to ask for its socket, nor to have it end.
    address, stop = (getattr(forkserver._forkserver, name) for name in ("_forkserver_address", "_stop"))
    if address is None or Path(address).exists():
        return
    if multiprocessing.active_children():
        raise NoVerdict("the way to the process that tries models out is gone, and one is still tried by it")
    with suppress(FileNotFoundError):
        # In the end it takes the socket away, which is gone.
        stop()


def _heard(ours: Connection) -> _Word | None:
    """None if it ended without a word."""
    try:
        word: _Word | None = ours.recv() if ours.poll() else None
    except EOFError:
        return None
    return word


def _how(child: "multiprocessing.process.BaseProcess") -> str:
    """In which way it ended."""
    child.join(1)
    status = child.exitcode or 0
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _vet(word: Connection, vetting: ChildVetting, model: str, origin: Origin) -> None:
    """In the child."""
    _end_with_the_server()
    importlib.import_module(_LOWEST_PRIORITY)
    resource.setrlimit(resource.RLIMIT_DATA, (vetting.memory_bytes, vetting.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        # Should memory run out all the same, the kernel takes this process first.
        Path("/proc/self/oom_score_adj").write_text("1000")
    examination = vetting.examination
    cache = ArtifactCache(vetting.artifacts, vetting.source(), examination.keys, vetting.public_key)
    loader = Loader(cache, examination, factory(examination.engine, vetting.threads))
    try:
        word.send(loader.examine(model, origin, on_files=lambda: word.send(_HAS_FILES)))
    except MemoryError:
        word.send((MemoryError.__name__, f"trying the model needs more than {vetting.memory_bytes >> 20} MB of memory"))
    except Exception as error:  # noqa: BLE001 - the parent raises it again
        word.send((type(error).__name__, str(error)))


def _end_with_the_server() -> None:
    """Dies with the server by a signal that nobody handles: a model that hangs with Python's lock lets no
    thread run.
    """
    server = multiprocessing.parent_process()
    assert server is not None
    fcntl.fcntl(server.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(server.sentinel, fcntl.F_SETFL, fcntl.fcntl(server.sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    if not server.is_alive():
        # The server ended before the signal was set up.
        os._exit(1)

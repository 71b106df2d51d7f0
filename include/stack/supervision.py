"""Runs the programs under supervisord: restart on crash, rotated logs, a stop that leaves no process behind."""

import hashlib
import os
import signal
import subprocess
import tempfile
import time
import xmlrpc.client
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from include.stack.knowing import inherited
from include.stack.layout import Stack, bin_folder
from include.stack.services import Program, StackError

_POLL_SECONDS = 0.2
_STOP_SECONDS, _HURRIED_STOP_SECONDS = 80, 15
_SOCKET_PATH_BYTES = 100


class Supervision:
    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._socket = _socket_path(stack.root)

    def running(self) -> bool:
        try:
            return bool(self._rpc().getState()["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def begin(self, programs: Sequence[Program]) -> None:
        """Start supervisord, with no program running yet; or tell a running one about new programs."""
        path = self.stack.root / "supervisord.conf"
        path.touch(mode=0o600)
        path.write_text(self._configuration(programs))
        if self.running():
            self._rpc().reloadConfig()
            for program in programs:
                self._add(program.name)
            return
        self._socket.unlink(missing_ok=True)
        # In a session of its own: a Ctrl-C in the terminal must not kill the services.
        subprocess.run(
            [str(bin_folder() / "supervisord"), "-c", str(path)],
            env=inherited(self.stack),
            check=True,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not self.running():
            if time.monotonic() > deadline:
                raise StackError(f"supervisord did not answer within 60 s, see {self.stack.log('supervisord')}")
            time.sleep(_POLL_SECONDS)

    def start(self, program: Program) -> bool:
        """Start and wait until it answers; `StackError` with the end of its log otherwise. False: it ran already."""
        idle = self.state(program.name) not in {"RUNNING", "STARTING"}
        if idle:
            self._rpc().startProcess(program.name, False)
        deadline = time.monotonic() + program.ready_seconds
        while not (self.state(program.name) in {"RUNNING", "STARTING"} and program.ready()):
            if self.state(program.name) == "FATAL" or time.monotonic() > deadline:
                raise StackError(f"{program.name} did not come up; end of {self._log_end(program.name)}")
            time.sleep(_POLL_SECONDS)
        return idle

    def renew(self, programs: Sequence[Program], changed: Sequence[Program]) -> None:
        """Of `programs`, which run, those `changed` start again with the variables that they have now."""
        (self.stack.root / "supervisord.conf").write_text(self._configuration(programs))
        self._rpc().reloadConfig()
        for program in changed:
            self.stop(program.name)
            self._rpc().removeProcessGroup(program.name)
            self._rpc().addProcessGroup(program.name)
            self.start(program)

    def stop(self, name: str) -> None:
        if self.state(name) in {"RUNNING", "STARTING", "BACKOFF"}:
            self._rpc().stopProcess(name)

    def kill(self, name: str) -> int:
        """SIGKILL the program itself, as a crash would; its pid."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def pid(self, name: str) -> int:
        """Of a program that runs; 0 for one that does not."""
        return int(self._rpc().getProcessInfo(name)["pid"])

    def state(self, name: str) -> str:
        try:
            return str(self._rpc().getProcessInfo(name)["statename"])
        except xmlrpc.client.Fault:
            return "UNKNOWN"

    def states(self) -> list[dict[str, Any]]:
        return list(self._rpc().getAllProcessInfo())

    def end(self, *, hurried: bool = False) -> None:
        """Stop every program, then supervisord; kill what is left of it. `hurried` where all data is to be deleted."""
        if self.running():
            processes = self.processes()
            if hurried:
                _abandon(processes)
            else:
                self._rpc().shutdown()
            _, alive = psutil.wait_procs(processes, timeout=_HURRIED_STOP_SECONDS if hurried else _STOP_SECONDS)
            _kill(alive)
        left = self._left_over()
        _kill(left)
        # Until it is gone it holds its ports, and its data.
        psutil.wait_procs(left, timeout=_HURRIED_STOP_SECONDS)

    def processes(self) -> list[psutil.Process]:
        """supervisord, everything below it, and what outlived a supervisord that was killed."""
        family: list[psutil.Process] = []
        if self.running():
            supervisor = psutil.Process(self._rpc().getPID())
            family = [supervisor, *supervisor.children(recursive=True)]
        return [*family, *(p for p in self._left_over() if p not in family)]

    def _left_over(self) -> list[psutil.Process]:
        """Processes that carry this stack's folder in their environment, this one and its parents aside."""
        mine = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
        return [p for p in psutil.process_iter() if p.pid not in mine and self._belongs(p)]

    def _belongs(self, process: psutil.Process) -> bool:
        marker = "RETRAINING_STACK"
        try:
            return process.environ().get(marker) == str(self.stack.root)
        except (psutil.Error, OSError):
            return False

    def _add(self, name: str) -> None:
        if self.state(name) == "UNKNOWN":
            self._rpc().addProcessGroup(name)

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _log_end(self, name: str) -> str:
        log = self.stack.log(name)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else ["(no log)"]
        return f"{log}:\n" + "\n".join(lines)

    def _configuration(self, programs: Sequence[Program]) -> str:
        root = self.stack.root
        head = (
            f"[unix_http_server]\nfile={self._socket}\nchmod=0700\n\n"
            f"[supervisord]\nlogfile={self.stack.log('supervisord')}\nlogfile_maxbytes=5MB\nlogfile_backups=1\n"
            f"pidfile={root}/supervisord.pid\nchildlogdir={root}/logs\n"
            f'environment=RETRAINING_STACK="{_escaped(str(root))}"\n\n'
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        )
        if os.geteuid() == 0:
            head = head.replace("[supervisord]\n", "[supervisord]\nuser=root\n")
        return head + "".join(self._section(program) for program in programs)

    def _section(self, program: Program) -> str:
        variables = ",".join(f"{name}={_escaped(_as_text(value))}" for name, value in program.environment.items())
        return (
            f"\n[program:{program.name}]\n"
            f"command={' '.join(_escaped(_quoted(part)) for part in program.command)}\n"
            f"directory={_escaped(str(program.folder))}\n"
            f"environment={variables}\n"
            "autostart=false\nautorestart=true\nstartsecs=1\nstartretries=5\n"
            f"stopsignal={program.stop_signal}\nstopwaitsecs={program.stop_seconds}\nstopasgroup=true\nkillasgroup=true\n"
            f"stdout_logfile={self.stack.log(program.name)}\nredirect_stderr=true\n"
            "stdout_logfile_maxbytes=20MB\nstdout_logfile_backups=1\n"
        )


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _as_text(value: str) -> str:
    """In the quotes that it has none of: supervisord knows no way to write one inside."""
    quote = "'" if '"' in value else '"'
    if quote in value:
        raise StackError("a variable with both kinds of quotes reaches no program")
    return f"{quote}{value}{quote}"


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text or not text or ";" in text else text


def _socket_path(root: Path) -> Path:
    """In the stack's folder, unless that path is too long for a socket."""
    path = root / "supervisor.sock"
    if len(os.fsencode(path)) < _SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"retraining-{digest}.sock"


def _kill(processes: Sequence[psutil.Process]) -> None:
    """One may end with another's end, between the look and the signal."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _abandon(processes: Sequence[psutil.Process]) -> None:
    """End them without a word; supervisord is the first of them, and starts none of the others again."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            # Killed, PostgreSQL would leave its shared memory behind.
            process.send_signal(signal.SIGQUIT if process.name() == "postgres" else signal.SIGKILL)

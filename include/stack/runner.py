"""Brings the stack up in dependency order and down again."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from include.stack import observing, services
from include.stack.executor import ExecutorRefused, choose
from include.stack.knowing import told_to_all
from include.stack.layout import (
    REPOSITORY,
    Stack,
    bin_folder,
    environment,
    keep,
    load,
    load_or_create,
    with_other_ports,
)
from include.stack.ports import is_free
from include.stack.postgres import log_receiver, postgres
from include.stack.rabbitmq import rabbitmq
from include.stack.services import Service, StackError
from include.stack.signing_keys import SigningKeyError
from include.stack.stack_file import StackFileError
from include.stack.staleness import is_stale, remember
from include.stack.supervision import Supervision
from include.stack.workers import workers

_MIN_DISK_GB, _MIN_MEMORY_GB = 5, 4


def all_services(stack: Stack) -> list[Service]:
    """Every service, after those it needs."""
    return [
        postgres(stack),
        rabbitmq(stack),
        services.s3(stack),
        log_receiver(stack),
        services.mlflow(stack),
        services.faceserve(stack),
        services.helper(stack),
        services.airflow(stack, environment(stack)),
        *workers(stack),
        observing.exporter(stack),
        observing.alertmanager(stack),
        observing.prometheus(stack),
    ]


def up(root: Path, say: Callable[[str], None], only: Sequence[str] = (), *, preferred_ports: bool = True) -> Stack:
    """Start what is not running; services that do not need each other start side by side.

    A port that another program took meanwhile is another one from now on, and said to be.
    `only` names the services wanted. Raises `StackError` with one sentence when something cannot start.
    """
    try:
        existing = load(root)
        choice = choose(existing.choice if existing else {}, os.environ)
        stack = load_or_create(root, preferred=preferred_ports)
    except (SigningKeyError, StackFileError, ExecutorRefused) as refused:
        raise StackError(str(refused)) from refused
    if not Supervision(stack).running():
        stack = _with_free_ports(stack, say)
    elif choice != stack.choice:
        raise StackError("the stack runs, and where its tasks run changes with its start: `make down`, and then again")
    stack = replace(stack, choice=choice)
    wanted = [s for s in all_services(stack) if not only or s.name in only]
    supervision = Supervision(stack)
    if "airflow" in {service.name for service in wanted}:
        _check_settings(stack, say)
    keep(stack)
    if not supervision.running():
        _check_machine(root, [p for s in wanted for p in s.programs], full=not only)
    supervision.begin([program for service in wanted for program in service.programs])
    started: dict[str, Future[None]] = {}
    with ThreadPoolExecutor(len(wanted)) as pool:
        for service in wanted:
            needs = [started[name] for name in service.after if name in started]
            started[service.name] = pool.submit(_start, service, needs, supervision, say)
        errors = [future.exception() for future in started.values()]
    for error in errors:
        if error is not None:
            raise error
    return stack


def _start(
    service: Service, needs: Sequence[Future[None]], supervision: Supervision, say: Callable[[str], None]
) -> None:
    for need in needs:
        need.result()
    begun = time.monotonic()
    service.prepare()
    for program in service.programs:
        if supervision.start(program):
            remember(supervision.stack, program, told_to_all(supervision.stack))
        elif is_stale(supervision.stack, program, told_to_all(supervision.stack)):
            say(f"{program.name} runs on with the code and settings of its start: `make down && make up` renews it")
    service.finish()
    say(f"{service.name} is up ({time.monotonic() - begun:.1f} s)")


def states(stack: Stack) -> list[dict[str, Any]]:
    """Of each program what supervisord says of it; empty while the stack is down."""
    supervision = Supervision(stack)
    return supervision.states() if supervision.running() else []


def memory_mb(stack: Stack) -> int:
    """Memory of all programs of the stack together; what processes share is counted once (PSS)."""
    total = 0
    for process in Supervision(stack).processes():
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            # It ended while we looked.
            continue
    return int(total / 1e6)


def down(root: Path, *, hurried: bool = False) -> None:
    """Stop everything of the stack in `root`; nothing happens when there is none. `hurried` forgets what it held."""
    # To be ended it needs neither its ports nor its secrets, which may be lost.
    Supervision(Stack(root, {}, {})).end(hurried=hurried)


def clean(root: Path) -> None:
    """Stop, then delete data, logs, ports and secrets."""
    down(root, hurried=True)
    for entry in root.iterdir() if root.exists() else ():
        if entry.name != "tools":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def disk_faults(root: Path) -> list[str]:
    """A sentence where less of the disk is free than the stack needs."""
    free_gb = shutil.disk_usage(root).free / 1e9
    if free_gb >= _MIN_DISK_GB:
        return []
    return [f"only {free_gb:.1f} GB of disk are free at {root}: {_MIN_DISK_GB} GB are needed"]


def _check_machine(root: Path, programs: Sequence[services.Program], *, full: bool) -> None:
    if full and (full_disk := disk_faults(root)):
        raise StackError(full_disk[0])
    memory_gb = psutil.virtual_memory().available / 1e9
    if full and memory_gb < _MIN_MEMORY_GB:
        raise StackError(f"only {memory_gb:.1f} GB of memory are available: {_MIN_MEMORY_GB} GB are needed")
    for program in programs:
        if not (Path(program.command[0]).exists() and os.access(program.command[0], os.X_OK)):
            raise StackError(f"{program.command[0]} is missing: run `make install`")


def _check_settings(stack: Stack, say: Callable[[str], None]) -> None:
    """Airflow's parts would start with a setting that every task refuses; what is no setting is named."""
    command = [str(bin_folder() / "python"), "-m", "pipeline", "settings", "--changed"]
    variables = {**os.environ, **environment(stack)}
    asked = subprocess.run(command, env=variables, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise StackError(asked.stderr.strip().splitlines()[-1])
    for line in asked.stderr.splitlines():
        if line.startswith("RETRAIN_"):
            say(line)


def _with_free_ports(stack: Stack, say: Callable[[str], None]) -> Stack:
    """Ports were free when they were chosen: since then another program may have taken one."""
    taken = [name for name, port in stack.ports.items() if not is_free(port)]
    if not taken:
        return stack
    if Supervision(stack).processes():
        raise StackError("an earlier start left programs behind: `make down` ends them, then `make up`")
    moved = with_other_ports(stack, taken)
    for name in taken:
        say(f"port {stack.port(name)} is another program's by now: {name} listens on {moved.port(name)}")
    return moved

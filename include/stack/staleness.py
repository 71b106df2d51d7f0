"""Which programs still run what was there when they started: `up` starts nothing that runs already."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from include.stack.layout import REPOSITORY, Stack
from include.stack.services import Program


def remember(stack: Stack, program: Program, environment: Mapping[str, str]) -> None:
    """The program has just been started with this."""
    _note(stack, program).write_text(_fingerprint(program, environment))


def is_stale(stack: Stack, program: Program, environment: Mapping[str, str]) -> bool:
    """Whether a program that runs would be another one if it started now: its code, command or variables.

    One that nobody noted was started by an earlier release.
    """
    note = _note(stack, program)
    return not note.exists() or note.read_text() != _fingerprint(program, environment)


def _note(stack: Stack, program: Program) -> Path:
    return stack.folder("started") / program.name


def _fingerprint(program: Program, environment: Mapping[str, str]) -> str:
    seen = hashlib.sha256(
        json.dumps([program.command, {**environment, **program.environment}], sort_keys=True).encode()
    )
    for path in _code(program):
        seen.update(str(path.relative_to(REPOSITORY)).encode() + path.read_bytes())
    return seen.hexdigest()


def _code(program: Program) -> Iterator[Path]:
    for name in program.code:
        place = REPOSITORY / name
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]

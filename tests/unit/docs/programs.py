"""Programs that run as `python -m MODULE`, and whether what a text says behind one is their commands and options."""

import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from include.bench.registry import UnknownBenchmark, chosen
from pipeline.__main__ import main as pipeline_commands
from tests.unit.docs.references import ROOMS, ROOT

# Processes that tests start for themselves.
_OF_TESTS_ALONE = {"tests.lifeline", "tests.two_devices", "tests.faults.dying", "tests.dags.lifecycle"}
# Of a sentence.
_ENDS = ",.;:)"
_READS = re.compile(r"^@click\.(command|group)\(|argparse\.ArgumentParser\(", re.MULTILINE)
_RUNS = re.compile(r"^if __name__ == .__main__.:", re.MULTILINE)


@cache
def programs() -> dict[str, Path]:
    """The files that can be run, by the module that `python -m` names."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    found = {_module(path): path for path in files if _RUNS.search(path.read_text())}
    return {module: path for module, path in found.items() if module not in _OF_TESTS_ALONE}


def commands(
    group: click.Group = pipeline_commands, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Every command with the words by which it is called."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield " ".join((*above, name)), command


def fault(module: str, said: str) -> str | None:
    """What is wrong with `python -m` MODULE and the words behind it; None when they are a command with its options."""
    if module.partition(".")[0] not in ROOMS or module in _OF_TESTS_ALONE:
        return None  # Another project's, or nothing that people call.
    if module not in programs():
        return f"no program {module}"
    if (command := _command_of(module)) is None:
        return None
    return _fault(module, command, said)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")


@cache
def _command_of(module: str) -> click.Command | None:
    name = ".".join(programs()[module].relative_to(ROOT).with_suffix("").parts)
    command = getattr(importlib.import_module(name), "main", None)
    return command if isinstance(command, click.Command) else None


def _fault(module: str, command: click.Command, said: str) -> str | None:
    words, path = _words(said), [module]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        path.append(words[0])
        # A few commands of a group may be named at once: `dead-letters list|show`.
        found = [command.commands.get(name) for name in words.pop(0).rstrip(_ENDS).split("|")]
        if not all(found):
            return f"no command {' '.join(path)}"
        command = found[0]
    if isinstance(command, click.Group) and len(path) > 1 and not words:
        return f"{' '.join(path)} needs a command"
    return _unknown_option(path, command, words) or _unknown_choice(path, command, words)


def _words(said: str) -> list[str]:
    """Up to the end of the sentence's code; an ellipsis stands for whatever may follow."""
    plain = said.replace("…", " ").partition(" #")[0]
    try:
        return shlex.split(plain)
    except ValueError:
        return plain.split()


def _unknown_option(path: list[str], command: click.Command, words: list[str]) -> str | None:
    if command.context_settings.get("ignore_unknown_options"):
        return None
    known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
    unknown = [word for word in words if re.fullmatch(r"--[a-z-]+", word) and word not in known]
    return f"{' '.join(path)} has no option {', '.join(unknown)}" if unknown else None


def _unknown_choice(path: list[str], command: click.Command, words: list[str]) -> str | None:
    """A benchmark, a component, a step: only where the first argument is one of few. CAPITALS stand for any."""
    first = next((word.rstrip(_ENDS) for word in words[:1] if not word.startswith(("-", "<", "[", ">", "$"))), "")
    argument = next((one for one in command.params if isinstance(one, click.Argument)), None)
    if not first or argument is None or first.isupper():
        return None
    if isinstance(argument.type, click.Choice) and first not in argument.type.choices:
        return f"{' '.join(path)} knows no {first}"
    return _unknown_benchmark(first) if path == ["include.bench", "run"] else None


def _unknown_benchmark(name: str) -> str | None:
    try:
        chosen([name])
    except UnknownBenchmark as error:
        return str(error)
    return None


def reads_its_words(path: Path) -> bool:
    """By a library, so that it says what they may be; else `--help` would begin its work."""
    return _READS.search(path.read_text()) is not None

"""`python -m include.bench [name…]`: measure, print a table, write `.bench/results.json`."""

import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
from rich.console import Console
from rich.table import Table

from include.bench.measurement import Measurement, Say
from include.stack.layout import REPOSITORY

_RESULTS = REPOSITORY / ".bench" / "results.json"
_LIBRARIES = ("tensorflow", "keras", "openvino", "opencv-python-headless", "albumentations", "pika", "psycopg2-binary")

console = Console(highlight=False)


def _intake(say: Say) -> Iterator[Measurement]:
    from include.bench.intake import intake

    return intake(say)


def _augmentation(say: Say) -> Iterator[Measurement]:
    from include.bench.augmentation import augmentation

    return augmentation(say)


def _engines(say: Say) -> Iterator[Measurement]:
    from include.bench.engines import engines

    return engines(say)


def _monitor(say: Say) -> Iterator[Measurement]:
    from include.bench.monitor import monitor

    return monitor(say)


BENCHMARKS: dict[str, Callable[[Say], Iterator[Measurement]]] = {
    "intake": _intake,
    "augmentation": _augmentation,
    "engines": _engines,
    "monitor": _monitor,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--out", type=click.Path(path_type=Path), default=_RESULTS, help="Results file; others are kept in it.")
def main(names: Sequence[str], out: Path) -> None:
    """Each figure with the plain alternative, measured in the same run. Without NAMES: all, about five minutes."""
    found: list[Measurement] = []
    for name in names or BENCHMARKS:
        console.print(f"[bold]{name}[/]")
        found += BENCHMARKS[name](lambda text: console.print(f"  {text}", style="dim"))
    console.print(_table(found))
    _write(found, out)
    console.print(f"written: {out}")


def _table(found: Sequence[Measurement]) -> Table:
    """What each is measured against and how stands in the results file, under `context`."""
    table = Table("benchmark", "ours", "plain", "times better")
    for m in found:
        table.add_row(m.name, f"{m.ours:,.1f} {m.unit}", f"{m.plain:,.1f} {m.unit}", f"{m.ratio:.1f}")
    return table


def _write(found: Sequence[Measurement], out: Path) -> None:
    """Figures measured before and not now stay in the file; each name's context says when it was measured."""
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(out.read_text()) if out.exists() else {"figures": {}, "context": {}}
    for m in found:
        kept["figures"] |= m.figures()
        kept["context"][m.name] = {
            "plain": m.plain_is,
            "how": m.note,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    kept["context"]["machine"] = {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
    }
    kept["context"]["versions"] = {name: version(name) for name in _LIBRARIES}
    out.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()

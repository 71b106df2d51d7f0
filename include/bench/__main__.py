"""`python -m include.bench`: list and run benchmarks and studies."""

import itertools
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

# Before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
from rich.console import Console
from rich.markup import escape

from include.bench import performance as bars
from include.bench import results
from include.bench.registry import BENCHMARKS, Benchmark, UnknownBenchmark, chosen
from include.bench.results import RESULTS, UnreadableResults
from include.stack.layout import REPOSITORY, default_root

_PAGES = REPOSITORY / "include" / "studies"
_DEMO = default_root() / "demo-report.json"
_ENDED = 128 + signal.SIGTERM

console = Console(highlight=False, soft_wrap=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Measure what the product can do; where there is a plain way to do the same, it is measured too."""
    context.obj = context.obj or BENCHMARKS


@main.command("list")
@click.pass_obj
def list_(benchmarks: Sequence[Benchmark]) -> None:
    """Every benchmark by group: minutes on two cores, what it measures, what it writes for people."""
    for group, members in itertools.groupby(benchmarks, key=lambda b: b.group):
        console.print(f"[bold]{group}[/]")
        for b in members:
            written = f"; writes {', '.join(b.pages)}" if b.pages else ""
            console.print(f"  {b.name:<18}{b.minutes:>3g} min   {b.measures}{written}")
    console.print("Figures of all go to .bench/results.json, what is written for people to include/studies/.")


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="File of results; others stay in it.")
@click.option("--pages", type=click.Path(path_type=Path), default=_PAGES, help="Folder of what is written for people.")
@click.pass_obj
def run(benchmarks: Sequence[Benchmark], names: Sequence[str], out: Path, pages: Path) -> None:
    """Run benchmarks by name, by group, or `all`; exit status 1 when one of them failed.

    Each is written as soon as it is done: an interrupted run keeps what it has found.
    """
    try:
        wanted = chosen(names, benchmarks)
        results.read(out)
    except (UnknownBenchmark, UnreadableResults) as error:
        raise click.UsageError(str(error)) from error
    # Whoever ends this program ends the services that a benchmark started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_ENDED))
    failed = [b.name for number, b in enumerate(wanted, 1) if not _run(b, f"{number}/{len(wanted)}", out, pages)]
    console.print(f"written: {out}")
    if failed:
        console.print(f"[bold red]failed:[/] {', '.join(failed)}")
        sys.exit(1)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="File of results.")
@click.option("--demo", type=click.Path(path_type=Path), default=_DEMO, help="Report of `make demo`.")
@click.option("--pages", type=click.Path(path_type=Path), default=_PAGES, help="Folder of what is written for people.")
def performance(out: Path, demo: Path, pages: Path) -> None:
    """Every figure beside the bar that it has to reach, out of what was measured last; measures nothing."""
    try:
        found = bars.with_demo(results.read(out), demo)
    except UnreadableResults as error:
        raise click.UsageError(str(error)) from error
    _write({bars.PAGE: bars.page(found).encode()}, pages)


def _run(benchmark: Benchmark, place: str, out: Path, pages: Path) -> bool:
    """Run one benchmark, print and keep what it finds; False when it failed."""
    about = f"{benchmark.measures} (about {benchmark.minutes:g} min)"
    console.print(f"[bold]{place} {benchmark.name}[/]  [dim]{escape(about)}[/]")
    began, (load, *_) = time.monotonic(), os.getloadavg()

    def say(text: str) -> None:
        console.print(f"  {time.monotonic() - began:6.1f} s  {text}", style="dim", markup=False)

    try:
        found = benchmark.run(say)
    except Exception as error:  # noqa: BLE001 - whatever one ends with, the others are still to be measured
        traceback.print_exc()
        console.print(f"  [bold red]{benchmark.name} failed:[/] {escape(str(error))}")
        return False
    results.keep(out, benchmark.name, found, time.monotonic() - began, load)
    _write(found.pages, pages)
    for name, value in found.figures.items():
        console.print(f"  {name:<56}{value:>14,.3f}", markup=False)
    return True


def _write(pages: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in pages.items():
        (folder / name).write_bytes(body)
        console.print(f"  written: {folder / name}")


if __name__ == "__main__":
    main()

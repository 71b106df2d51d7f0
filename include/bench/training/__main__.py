"""`python -m include.bench.training [part…]`: measure, print, write `.bench/training.json`."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click

from include.bench.measurement import Say
from include.stack.layout import REPOSITORY

_RESULTS = REPOSITORY / ".bench" / "training.json"

Found = tuple[dict[str, float], str]


def _speedup(say: Say) -> Found:
    from include.bench.training.speed import speed

    return speed(say)


def _accuracy(say: Say) -> Found:
    from include.bench.training.accuracy import accuracy

    return accuracy(say)


def _resume_kill(say: Say) -> Found:
    from include.bench.training.resuming import resuming

    return resuming("KILL", say)


def _resume_term(say: Say) -> Found:
    from include.bench.training.resuming import resuming

    return resuming("TERM", say)


PARTS: dict[str, Callable[[Say], Found]] = {
    "speedup": _speedup,
    "accuracy": _accuracy,
    "resume-kill": _resume_kill,
    "resume-term": _resume_term,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--out", type=click.Path(path_type=Path), default=_RESULTS, help="Results file; others are kept in it.")
def main(names: Sequence[str], out: Path) -> None:
    """Each part in at most five minutes on two cores. Without NAMES: all, about fifteen minutes."""
    kept = json.loads(out.read_text()) if out.exists() else {}
    figures, context = kept.get("figures", {}), kept.get("context", {})
    for name in names or PARTS:
        click.secho(name, bold=True)
        found, how = PARTS[name](lambda text: click.secho(f"  {text}", dim=True))
        for key, value in found.items():
            click.echo(f"  {key:<48}{value:>14,.3f}")
        figures |= found
        context[name] = {"how": how, "measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
    figures |= _both_ways_of_dying(figures)
    context |= {"cores": os.cpu_count(), "python": platform.python_version(), "tensorflow": version("tensorflow")}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"figures": figures, "context": context}, ensure_ascii=False, indent=1) + "\n")
    click.echo(f"written: {out}")


def _both_ways_of_dying(figures: dict[str, float]) -> dict[str, float]:
    """Over kill -9 and SIGTERM, as far as they were measured."""
    totals: dict[str, Callable[[list[float]], float]] = {
        "runs": sum,
        "lost_epochs_max": max,
        "result_difference_max": max,
    }
    found = {
        name: [figures[f"resume_{how}_{name}"] for how in ("kill", "term") if f"resume_{how}_{name}" in figures]
        for name in totals
    }
    return {f"resume_{name}": total(found[name]) for name, total in totals.items() if found[name]}


if __name__ == "__main__":
    main()

"""`python -m include.bench.serving [part…]`: measure, print, write `.bench/serving.json`."""

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

_RESULTS = REPOSITORY / ".bench" / "serving.json"

Figures = dict[str, float]


def _swaps(say: Say) -> Figures:
    from include.bench.serving.swapping import Drive, swapping

    return swapping(Drive("small", requests=105_000, swaps=20, rollbacks=5, failed_deployments=3), say)


def _swaps_resnet50(say: Say) -> Figures:
    from include.bench.serving.swapping import Drive, swapping

    found = swapping(Drive("ResNet50", requests=3_200, swaps=5), say)
    return {f"resnet50_{name}": value for name, value in found.items()}


def _fleet(say: Say) -> Figures:
    from include.bench.serving.swapping import activation_spread

    return activation_spread(say)


def _throughput(say: Say) -> Figures:
    from include.bench.serving.throughput import throughput

    return throughput(say)


def _batching(say: Say) -> Figures:
    from include.bench.serving.throughput import batching

    return batching(say)


def _memory(say: Say) -> Figures:
    from include.bench.serving.memory import memory

    return memory(say)


def _cold_start(say: Say) -> Figures:
    from include.bench.serving.memory import cold_start

    return cold_start(say)


def _peers(say: Say) -> Figures:
    from include.bench.serving.peers import peers

    return peers(say)


def _child_process(say: Say) -> Figures:
    from include.bench.serving.child_process import child_process

    return child_process(say)


PARTS: dict[str, Callable[[Say], Figures]] = {
    "swaps": _swaps,
    "swaps-resnet50": _swaps_resnet50,
    "fleet": _fleet,
    "throughput": _throughput,
    "batching": _batching,
    "memory": _memory,
    "cold-start": _cold_start,
    "child-process": _child_process,
    "peers": _peers,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--out", type=click.Path(path_type=Path), default=_RESULTS, help="Results file; others are kept in it.")
def main(names: Sequence[str], out: Path) -> None:
    """Real replicas over gRPC. Without NAMES: all parts, about twenty minutes."""
    kept = json.loads(out.read_text()) if out.exists() else {}
    figures, context = kept.get("figures", {}), kept.get("context", {})
    for name in names or PARTS:
        click.secho(name, bold=True)
        found = PARTS[name](lambda text: click.secho(f"  {text}", dim=True))
        for key, value in found.items():
            click.echo(f"  {key:<48}{value:>14,.3f}")
        figures |= found
        context[name] = datetime.now(UTC).isoformat(timespec="seconds")
    context |= {"cores": os.cpu_count(), "python": platform.python_version(), "openvino": version("openvino")}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"figures": figures, "context": context}, indent=1) + "\n")
    click.echo(f"written: {out}")


if __name__ == "__main__":
    main()

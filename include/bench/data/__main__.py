"""`python -m include.bench.data [part…]`: measure, print, write `.bench/data.json`; about seven minutes for all."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from include.bench.data.augmenting import augmenting
from include.bench.data.collecting import collecting
from include.bench.measurement import Say
from include.stack.layout import REPOSITORY

_RESULTS = REPOSITORY / ".bench" / "data.json"
_LIBRARIES = ("opencv-python-headless", "albumentations", "pyarrow", "psycopg2-binary", "boto3")
PARTS: Mapping[str, Callable[[Say], tuple[dict[str, float], dict[str, str]]]] = {
    "augmenting": augmenting,
    "collecting": collecting,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--out", type=click.Path(path_type=Path), default=_RESULTS, help="Results file; others are kept in it.")
def main(names: Sequence[str], out: Path) -> None:
    """Seconds and memory of preparing data."""
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(out.read_text()) if out.exists() else {"figures": {}, "context": {}}
    for name in names or PARTS:
        click.echo(name)
        figures, context = PARTS[name](lambda text: click.echo(f"  {text}"))
        kept["figures"] |= figures
        measured_at = datetime.now(UTC).isoformat(timespec="seconds")
        kept["context"][name] = {**context, "measured_at": measured_at}
        for figure, value in figures.items():
            click.echo(f"{figure:45} {value:10,.3f}")
    kept["context"]["machine"] = {"cores": os.cpu_count(), "python": platform.python_version()}
    kept["context"]["versions"] = {name: version(name) for name in _LIBRARIES}
    out.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    click.echo(f"written: {out}")


if __name__ == "__main__":
    main()

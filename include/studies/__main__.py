"""`python -m include.studies`: both studies over five seeds, about four minutes; tables and plots land beside it."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click

from include.studies import leak, plots, replay, table
from include.studies.material import gather

_HERE = Path(__file__).parent
_SEEDS = range(5)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", type=click.Path(path_type=Path), default=_HERE, help="Folder of the results.")
def main(out: Path) -> None:
    """Replay study and leak study."""
    material = gather(click.echo)
    replayed = [row for seed in _SEEDS for row in replay.run(material, seed)]
    click.echo(f"replay study: {len(replayed)} rows")
    leaked = [row for seed in _SEEDS for row in leak.run(material, seed)]
    click.echo(f"leak study: {len(leaked)} rows")
    _write(out / "replay.csv", replayed)
    _write(out / "leak.csv", leaked)
    (out / "replay.png").write_bytes(plots.of_replay(replayed))
    (out / "leak.png").write_bytes(plots.of_leak(leaked))
    (out / "README.md").write_text(table.page(replayed, leaked, material, len(_SEEDS)))
    click.echo(f"written: {out}")


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

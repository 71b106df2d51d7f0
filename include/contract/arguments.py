"""What commands are given beside words, refused before any work begins where no work could use it."""

import math
import os
from pathlib import Path
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """As click's, which takes NaN: it lies on neither side of a bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


class OutFile(click.Path):
    """A file that is written once the work is done: its folder is there, and may be written to."""

    name = "file"

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        path = super().convert(value, param, ctx)
        folder = Path(os.fsdecode(path)).parent
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            self.fail(f"{folder} is no folder that can be written to", param, ctx)
        return path

    def of(self, name: str) -> Path:
        """One that nobody named. Raises `click.BadParameter` as for one that somebody did."""
        return Path(os.fsdecode(self.convert(name, None, None)))

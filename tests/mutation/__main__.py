"""`python -m tests.mutation [FILE …]`: change the code in small ways and see which changes no test notices.

Prints the survivors and a score for each file and package, and fails when a package is below the threshold. Mutants
that no test could tell from the code stand in `equivalent_mutants.toml` with the reason, and count as never made.
"""

import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import click

from tests.measure import REPOSITORY
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.trial import Outcome, try_all

THRESHOLD = 0.85
_OF_PIPELINE = ("tests/unit/pipeline", "tests/stateful")
# What is mutated, each folder with all below it: the rules of the domain, the use cases, and of a replica the life of a
# model and what decides about memory, files and people; with the tests that are asked: those that need no service.
PACKAGES = {
    "pipeline/domain": _OF_PIPELINE,
    "pipeline/steps": _OF_PIPELINE,
    # The last needs no service either: a registry of three lines is its own.
    "faceserve/rollout": ("tests/unit/faceserve", "tests/replica/test_coming_back.py"),
    "faceserve/inference/batching.py": ("tests/unit/faceserve/inference",),
    "faceserve/models/generation.py": ("tests/unit/faceserve/models", "tests/unit/faceserve/rollout"),
    "faceserve/models/artifacts.py": ("tests/unit/faceserve/models",),
    "faceserve/faces/gallery.py": ("tests/unit/faceserve/faces",),
}
_EQUIVALENT = REPOSITORY / "tests" / "equivalent_mutants.toml"


def equivalents() -> set[tuple[str, str, str]]:
    """File, line and what it becomes, of all mutants that no test could tell apart."""
    kept = tomllib.loads(_EQUIVALENT.read_text())["mutant"]
    return {(mutant["file"], mutant["line"], after) for mutant in kept for after in mutant["becomes"]}


def wanted_files(arguments: Sequence[str]) -> list[str]:
    """Files to mutate: those named, in full or by their package, or all."""
    patterns = [argument.rstrip("/") + ("" if argument.endswith(".py") else "/*") for argument in arguments]
    of_all = [path.relative_to(REPOSITORY).as_posix() for one in PACKAGES for path in _files(REPOSITORY / one)]
    found = sorted(file for file in of_all if not patterns or any(fnmatch(file, pattern) for pattern in patterns))
    if not found:
        sys.exit(f"nothing to mutate in {', '.join(arguments)}, only in {', '.join(PACKAGES)}")
    return found


def _files(package: Path) -> Iterable[Path]:
    return [package] if package.is_file() else package.rglob("*.py")


class Scores:
    """What is told of each mutant, counted by file."""

    def __init__(self, made: dict[str, int]) -> None:
        self._made, self._same = made, equivalents()
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def tell(self, outcome: Outcome) -> None:
        """Count it; print a survivor at once."""
        mutant = outcome.mutant
        equivalent = (mutant.file, *mutant.lines) in self._same
        came = "killed" if outcome.noticed_by else "equivalent" if equivalent else "survived"
        self._counts[mutant.file][came] += 1
        if came == "survived":
            print(f"{mutant.file} {mutant.function}, met by {outcome.tests} tests\n{mutant.change}\n", flush=True)

    def print(self) -> None:
        print(f"{'tried':>6} {'of':>5} {'killed':>6} {'survived':>8} {'equivalent':>10} {'share':>6}")
        for file in self._counts:
            self._line(file, [file])
        for package, files in self._packages().items():
            self._line(f"{package}, together", files)

    def below(self) -> list[str]:
        """Packages that do not reach the threshold."""
        return [package for package, files in self._packages().items() if self._share(files) < THRESHOLD]

    def _line(self, name: str, files: Iterable[str]) -> None:
        counts, of = self._sum(files), sum(self._made[file] for file in files)
        figures = f"{counts['killed']:>6} {counts['survived']:>8} {counts['equivalent']:>10}"
        print(f"{counts.total():>6} {of:>5} {figures} {self._share(files):>6.0%}  {name}")

    def _packages(self) -> dict[str, list[str]]:
        packages: dict[str, list[str]] = defaultdict(list)
        for file in self._counts:
            packages[package_of(file)].append(file)
        return packages

    def _sum(self, files: Iterable[str]) -> Counter[str]:
        return sum((self._counts[file] for file in files), Counter())

    def _share(self, files: Iterable[str]) -> float:
        counts = self._sum(files)
        judged = counts["killed"] + counts["survived"]
        return counts["killed"] / judged if judged else 1.0


def package_of(file: str) -> str:
    """The entry of `PACKAGES` that it belongs to."""
    above = (file, *map(str, PurePosixPath(file).parents))
    return next(one for one in above if one in PACKAGES)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("named", nargs=-1, metavar="[FILE]…")
@click.option("--sample", type=int, help="Mutants of each file, drawn with a fixed seed; all by default.")
@click.option("--tests", "only", multiple=True, help="Instead of all that may notice; may be said again.")
def main(named: tuple[str, ...], sample: int | None, only: tuple[str, ...]) -> None:
    """Files, or folders of them, below `PACKAGES`; all by default."""
    mutants: list[Mutant] = []
    made: dict[str, int] = {}
    files = wanted_files(named)
    for file in files:
        drawn, made[file] = mutants_of(REPOSITORY / file, file, sample)
        mutants += drawn
    print(f"{len(mutants)} of {sum(made.values())} mutants in {len(made)} files\n", flush=True)
    tests = only or list(dict.fromkeys(test for file in files for test in PACKAGES[package_of(file)]))
    scores = Scores(made)
    if failed := try_all(mutants, tests, scores.tell):
        sys.exit(f"these tests fail on the code as it is: {', '.join(failed)}")
    scores.print()
    sys.exit(1 if scores.below() else 0)


if __name__ == "__main__":
    main()

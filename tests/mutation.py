"""`python -m tests.mutation [FILE …]`: change the code in small ways and see which changes no unit test notices.

mutmut makes the mutants and runs the tests that reach each (`[tool.mutmut]` in pyproject.toml says what is mutated);
this prints the survivors and a score a file, and fails below the threshold. Mutants that no test could tell from the
code stand in `equivalent_mutants.toml` with the reason, and count as never made.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

from tests.measure import REPOSITORY

THRESHOLD = 0.85
_MUTANTS = REPOSITORY / "mutants"
_PROCESSES = "2"
_EQUIVALENT = REPOSITORY / "tests" / "equivalent_mutants.toml"
_KILLED = {"killed", "timeout", "segfault", "suspicious", "caught by type check"}


@dataclass(frozen=True)
class Mutant:
    file: str
    name: str
    status: str

    @property
    def killed(self) -> bool:
        return self.status in _KILLED

    def change(self) -> str:
        """The lines that differ, as in a diff."""
        lines = get_diff_for_mutant(self.name, path=self.file).splitlines()
        return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"})

    def lines(self) -> tuple[str, str]:
        """Before and after, each in one line."""
        changed = [(line[0], line[1:].strip()) for line in self.change().splitlines()]
        before, after = (" ".join(text for sign, text in changed if sign == wanted) for wanted in "-+")
        return before, after


def equivalents() -> set[tuple[str, str, str]]:
    """File, line and what it becomes, of all mutants that no test could tell apart."""
    kept = tomllib.loads(_EQUIVALENT.read_text())["mutant"]
    return {(mutant["file"], mutant["line"], after) for mutant in kept for after in mutant["becomes"]}


def wanted_files(arguments: Sequence[str]) -> list[str]:
    """Files to mutate: those named, or all that the configuration names."""
    configuration = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["mutmut"]
    patterns = [argument.rstrip("/") + ("" if argument.endswith(".py") else "/*") for argument in arguments]
    of_all = [
        path.relative_to(REPOSITORY).as_posix()
        for source in configuration["source_paths"]
        for path in sorted((REPOSITORY / source).rglob("*.py"))
    ]
    mutable = [file for file in of_all if any(fnmatch(file, p) for p in configuration["only_mutate"])]
    found = [file for file in mutable if not patterns or any(fnmatch(file, pattern) for pattern in patterns)]
    if not found:
        sys.exit(f"nothing to mutate in {', '.join(arguments)}: see only_mutate in pyproject.toml")
    return found


def mutants(file: str) -> list[Mutant]:
    """What the last run says of `file`; of a file without a function nothing."""
    kept = _MUTANTS / f"{file}.meta"
    codes = json.loads(kept.read_text())["exit_code_by_key"] if kept.exists() else {}
    return [Mutant(file, name, status_by_exit_code[code]) for name, code in codes.items()]


def _run(files: Sequence[str]) -> None:
    # mutmut goes on where it stopped and would not ask sharper tests about an earlier survivor.
    shutil.rmtree(_MUTANTS, ignore_errors=True)
    patterns = [file.removesuffix(".py").replace("/", ".") + ".x*" for file in files]
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", _PROCESSES, *patterns]
    if subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit("mutmut could not run: do the unit tests pass?")


def _report(files: Sequence[str]) -> float:
    """Print survivors and scores; the score of all together."""
    same = equivalents()
    scores: dict[str, tuple[int, int]] = {}
    for file in files:
        of_file = [m for m in mutants(file) if m.killed or (file, *m.lines()) not in same]
        survivors = [m for m in of_file if not m.killed]
        for mutant in survivors:
            print(f"{mutant.name} ({mutant.status})\n{mutant.change()}\n")
        scores[file] = (len(of_file) - len(survivors), len(of_file))
    for file, (killed, made) in scores.items():
        print(f"{killed:>5} of {made:<5}{_share(killed, made):>5.0%}  {file}")
    total = Counter(killed=sum(k for k, _ in scores.values()), made=sum(n for _, n in scores.values()))
    print(f"{total['killed']:>5} of {total['made']:<5}{_share(total['killed'], total['made']):>5.0%}  together")
    return _share(total["killed"], total["made"])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def main(arguments: Sequence[str]) -> int:
    files = wanted_files(arguments)
    _run(files)
    return 0 if _report(files) >= THRESHOLD else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

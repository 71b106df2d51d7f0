"""`python -m tests.measure [FOLDER]`: the size and shape of the code by package, as a table."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import click

REPOSITORY = Path(__file__).parents[1]
CODE = ("pipeline", "faceserve", "include", "dags", "plugins")
# What runs in production; the local stack, the demo, the benches and the studies of include/ are trials of it.
PRODUCT = ("pipeline", "faceserve", "include.contract", "dags", "plugins")
_SMALL_FILE_LINES = 3
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Function:
    name: str
    lines: int
    parameters: int
    """Without self and cls."""
    nesting: int
    """Blocks within blocks; 1 is an `if` or a loop in the body."""


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @cached_property
    def source(self) -> str:
        return self.path.read_text()

    @cached_property
    def lines(self) -> int:
        return len(self.source.splitlines())

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        return tuple(_functions(self.tree, f"{self.name}:"))

    @property
    def levels(self) -> int:
        """Packages below the top one."""
        return self.name.count(".") - (self.path.name != "__init__.py")

    def imports(self, known: Iterable[str]) -> set[str]:
        """The modules of ours that it imports, inside functions too."""
        known = set(known)
        return {part for name in self._imported() if (part := _known_part(name, known))} - {self.name}

    def _imported(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(root: Path, packages: Sequence[str] = CODE) -> list[Module]:
    """All of `packages` but what is generated."""
    found = []
    for package in packages:
        for path in sorted((root / package.replace(".", "/")).rglob("*.py")):
            if "_pb2" not in path.name:
                parts = path.relative_to(root).with_suffix("").parts
                found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def rooms(found: Sequence[Module]) -> dict[str, list[Module]]:
    """By top package, but the large ones by the packages in them."""
    by_room: dict[str, list[Module]] = {}
    for module in found:
        parts = module.name.split(".")
        inside = len(parts) > 2 or module.path.name == "__init__.py"
        room = ".".join(parts[:2]) if parts[0] in {"pipeline", "include"} and inside else parts[0]
        by_room.setdefault(room, []).append(module)
    return by_room


def percentile(values: Sequence[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0


def share_of_tests(root: Path, packages: Sequence[str] = PRODUCT) -> float:
    """Lines of everything in tests/ by lines of the product."""
    tests, code = (sum(m.lines for m in modules(root, names)) for names in (("tests",), packages))
    return tests / code


def file_sizes(found: Iterable[Module]) -> list[int]:
    """Lines of each file but the empty `__init__.py`."""
    return [m.lines for m in found if m.lines > _SMALL_FILE_LINES]


def _functions(node: ast.AST, prefix: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            name = prefix + child.name
            lines = (child.end_lineno or child.lineno) - child.lineno + 1
            yield Function(name, lines, _parameters(child.args), _nesting(child.body))
            yield from _functions(child, f"{name}.")
        else:
            inner = f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix
            yield from _functions(child, inner)


def _parameters(arguments: ast.arguments) -> int:
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len(names) - (bool(names) and names[0] in {"self", "cls"})


def _nesting(body: Sequence[ast.stmt]) -> int:
    return max((_depth(statement) for statement in body), default=0)


def _depth(statement: ast.stmt) -> int:
    if not isinstance(statement, _BLOCKS):
        return 0
    inside = [statement.body] if not isinstance(statement, ast.Match) else [case.body for case in statement.cases]
    inside += [handler.body for handler in getattr(statement, "handlers", ())]
    inside += [getattr(statement, "finalbody", [])]
    otherwise = getattr(statement, "orelse", [])
    # `elif` stands beside its `if`, not in it.
    chained = len(otherwise) == 1 and isinstance(statement, ast.If) and isinstance(otherwise[0], ast.If)
    beside = _depth(otherwise[0]) if chained else 1 + _nesting(otherwise)
    return max(beside, *(1 + _nesting(body) for body in inside))


def _known_part(name: str, known: set[str]) -> str | None:
    """`pipeline.domain.models.ModelType` is of `pipeline.domain.models`."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def _row(name: str, found: Sequence[Module], known: Sequence[str]) -> str:
    functions = [f for m in found for f in m.functions]
    lengths, parameters = [f.lines for f in functions], [f.parameters for f in functions]
    sizes, long = file_sizes(found), sum(length > 30 for length in lengths)
    share = 100 * long / len(lengths) if lengths else 0
    cells = (
        sum(m.lines for m in found),
        f"{percentile(lengths, 0.5)}/{percentile(lengths, 0.9)}/{max(lengths, default=0)}",
        f"{share:.0f} %",
        f"{median(sizes):.0f}/{max(sizes)}" if sizes else "–",
        max(m.levels for m in found),
        max((f.nesting for f in functions), default=0),
        f"{percentile(parameters, 0.9)}/{max(parameters, default=0)}",
        max(len(m.imports(known)) for m in found),
    )
    return f"| {name} | {' | '.join(map(str, cells))} |"


def table(root: Path) -> str:
    """One row a package, in Markdown."""
    found = modules(root)
    known = [m.name for m in found]
    by_room = {"**all**": found, **rooms(found), "tests": modules(root, ("tests",))}
    head = "| | lines | fn med/p90/max | fn>30 | file med/max | levels | nesting | params p90/max | fan-out max |"
    ratios = f"test:code {share_of_tests(root, CODE):.2f}, of the product {share_of_tests(root):.2f}"
    return "\n".join([head, "|" + "---|" * 9, *(_row(n, of, known) for n, of in by_room.items()), "", ratios])


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(exists=True, path_type=Path), default=REPOSITORY)
def main(folder: Path) -> None:
    click.echo(table(folder))


if __name__ == "__main__":
    main()

"""Small changes of one function each, and how a running program is given one.

The operators are those of mutmut. Its runner is not used: it leaves out what has a decorator, so every property of the
history, and begins a run of pytest anew for each mutant.
"""

import ast
import inspect
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import libcst as cst
from libcst import matchers as m
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

SEED = 7
# A log is read by people who look for a reason; the tests look at what is so.
_LOGGING = m.Call(func=m.Attribute(value=m.Name("log")))


@dataclass(frozen=True)
class Mutant:
    """`source` is `file` with one change, in `function`, whose name is dotted when it is a method."""

    file: str
    function: str
    original: str
    source: str

    @cached_property
    def change(self) -> str:
        """The lines that differ, as in a diff."""
        lines = unified_diff(self.original.splitlines(), self.source.splitlines(), n=0, lineterm="")
        return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"})

    @property
    def lines(self) -> tuple[str, str]:
        """Before and after, each in one line."""
        changed = [(line[0], line[1:].strip()) for line in self.change.splitlines()]
        before, after = (" ".join(text for sign, text in changed if sign == wanted) for wanted in "-+")
        return before, after

    @cached_property
    def statement(self) -> range:
        """Lines of the smallest statement that holds the change."""
        pairs = zip(self.original.splitlines(), self.source.splitlines(), strict=False)
        first = next((n for n, (old, new) in enumerate(pairs, 1) if old != new), 1)
        statements = (node for node in ast.walk(ast.parse(self.original)) if isinstance(node, ast.stmt))
        around = [range(s.lineno, (s.end_lineno or s.lineno) + 1) for s in statements]
        return min((lines for lines in around if first in lines), key=len)

    def apply(self) -> None:
        """Everybody who holds the function in this process calls the mutant from now on."""
        module = import_module(self.file.removesuffix(".py").replace("/", "."))
        namespace: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
        exec(compile(self.source, self.file, "exec"), namespace)
        function, mutated = _function(vars(module), self.function), _function(namespace, self.function)
        function.__code__ = mutated.__code__
        function.__defaults__, function.__kwdefaults__ = mutated.__defaults__, mutated.__kwdefaults__


def mutants_of(path: Path, file: str, sample: int | None) -> tuple[list[Mutant], int]:
    """Those that are asked about, `sample` drawn at random or all; and how many there are."""
    original = path.read_text()
    wrapper = cst.MetadataWrapper(cst.parse_module(original))
    visitor = _Everywhere(mutation_operators, IgnoredCode(set(), set(), set()))
    module = wrapper.visit(visitor)
    names = dict(_functions(module))
    found = [mutation for mutation in visitor.mutations if mutation.contained_by_top_level_function in names]
    drawn = found if sample is None else random.Random(SEED).sample(found, min(sample, len(found)))
    mutants = []
    for mutation in drawn:
        changed = module.deep_replace(mutation.original_node, mutation.mutated_node)
        assert isinstance(changed, cst.Module)
        mutants.append(Mutant(file, names[mutation.contained_by_top_level_function], original, changed.code))
    return mutants, len(found)


class _Everywhere(MutationVisitor):
    """In functions with a decorator, too; not in what is only logged."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and node.decorators:
            return False
        return m.matches(node, _LOGGING) or super()._skip_node_and_children(node)


def _functions(module: cst.Module) -> Iterator[tuple[cst.CSTNode, str]]:
    for statement in module.body:
        if isinstance(statement, cst.FunctionDef):
            yield statement, statement.name.value
        elif isinstance(statement, cst.ClassDef):
            for inner in statement.body.body:
                if isinstance(inner, cst.FunctionDef):
                    yield inner, f"{statement.name.value}.{inner.name.value}"


def _function(namespace: Mapping[str, Any], name: str) -> FunctionType:
    """Without what its decorators put around it."""
    owner, _, method = name.rpartition(".")
    found = vars(namespace[owner])[method] if owner else namespace[method]
    for attribute in ("__func__", "fget", "func"):
        found = getattr(found, attribute, found)
    function = inspect.unwrap(found)
    assert isinstance(function, FunctionType), f"{name} is no function of Python"
    return function

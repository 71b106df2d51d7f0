"""Which files the usual changes touch: those where the word stands that a change is about."""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache
from inspect import getsourcefile
from pathlib import Path

from pipeline.settings import Settings
from tests.unit.docs.references import ROOT

Found = Callable[[ast.AST], bool]

_EVENT = (
    r"(Canary|Confirmations|Dag|DeadLetters|FaceRates|HotSwap|LiveAccuracy|Model|Retraining|Rollback|Run|Step|Training)"
    r"\w+Event"
)
_PRODUCT = ("pipeline", "faceserve", "dags", "plugins", "include/helper_service", "include/stand_in")
_STACK = ("include/stack",)
_RIGHTS = ("include/stack/object_rights.py",)
_POOLS = r"serving_swap|emergency|training|pools\.json"


def says(pattern: str) -> Found:
    """A text in the code, docstrings aside, that matches."""
    wanted = re.compile(pattern)
    return lambda node: (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and wanted.fullmatch(node.value) is not None
    )


def names(pattern: str) -> Found:
    """A class of that name is defined or imported, or an attribute of it asked for."""
    wanted = re.compile(pattern)

    def found(node: ast.AST) -> bool:
        if isinstance(node, ast.ImportFrom):
            return any(wanted.fullmatch(name.name) for name in node.names)
        name = getattr(node, "name", "") if isinstance(node, ast.ClassDef) else getattr(node, "attr", "")
        return wanted.fullmatch(name) is not None

    return found


def defines(pattern: str) -> Found:
    """A class or a value of the module."""
    wanted = re.compile(pattern)

    def found(node: ast.AST) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        assigned = [target.id for target in targets if isinstance(target, ast.Name)]
        return any(map(wanted.fullmatch, [node.name] if isinstance(node, ast.ClassDef) else assigned))

    return found


def calls(name: str) -> Found:
    return lambda node: isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def takes(name: str) -> Found:
    """A step is imported, or asked of the pipeline."""
    return lambda node: (
        (isinstance(node, ast.Attribute) and node.attr == name)
        or (isinstance(node, ast.ImportFrom) and any(one.name == name for one in node.names))
    )


def runs(name: str) -> Found:
    """A step's function, which takes its bundle of ports first; not a command or a method."""
    return lambda node: isinstance(node, ast.FunctionDef) and node.name == name and not node.decorator_list


def either(*found: Found) -> Found:
    return lambda node: any(one(node) for one in found)


def imports(*libraries: str, but: str = "") -> Found:
    """More of a library than the name `but`."""

    def found(node: ast.AST) -> bool:
        if isinstance(node, ast.ImportFrom):
            return (node.module or "").split(".")[0] in libraries and [one.name for one in node.names] != [but]
        return isinstance(node, ast.Import) and any(name.name.split(".")[0] in libraries for name in node.names)

    return found


@dataclass(frozen=True)
class Change:
    """`is_about_it` is looked for in the Python files of `rooms`; `texts` are patterns of other files, each with the
    word that makes one of them a file of this change.
    """

    is_about_it: Found
    rooms: tuple[str, ...] = _PRODUCT
    texts: Mapping[str, str] | None = None

    def others(self) -> set[str]:
        return {
            str(path.relative_to(ROOT))
            for pattern, word in (self.texts or {}).items()
            for path in ROOT.glob(pattern)
            if re.search(word, path.read_text())
        }


def nowhere(_: ast.AST) -> bool:
    """No Python file is touched, or none of the product."""
    return False


_ALERT = r"\b(CertificateEnds|ReplicaDown|MonitorSilent|ReplicaServesNothing)\b"
CHANGES: Mapping[str, Change] = {
    "the share of a canary": Change(nowhere),
    "a condition of the gate": Change(either(defines("CheckName"), calls("Check")), ("pipeline/domain",)),
    "a third label": Change(says("양호"), (*_PRODUCT, *_RIGHTS)),
    "a third model type": Change(either(says("(FACE|face|LAUNDRY)/?"), names("LAUNDRY")), (*_PRODUCT, *_RIGHTS)),
    "a field of an event that comes in": Change(
        says("correctionReason|claimedIdentity"), ("pipeline", "include/stand_in")
    ),
    "a field of an event that goes out": Change(either(says(_EVENT), names(_EVENT))),
    "GCS instead of S3": Change(imports("boto3", "botocore")),
    "a backbone": Change(says("EfficientNetLite0")),
    "a hyperparameter in the form": Change(either(says("batch_size|--batch-size"), defines("Hyperparameters"))),
    "a default of the augmentation": Change(defines("Augmentation")),
    "a reason of a correction": Change(says("찢어짐"), texts={"include/helper_service/page/files/*.js": "찢어짐"}),
    "a command": Change(imports("click"), ("pipeline",)),
    "a setting of no policy": Change(defines("Settings|_IN_README"), ("pipeline",)),
    "a page that people look at": Change(
        imports("html", "jinja2"),
        ("pipeline/adapters",),
        {f"{room}/**/*.html": "<html" for room in ("pipeline", "plugins", "include/helper_service")},
    ),
    "a metric of the model server": Change(
        imports("prometheus_client", but="CollectorRegistry"),
        ("faceserve",),
        {"include/grafana/dashboards/*.json": "faceserve_requests_total"},
    ),
    "a metric of models, deployments or people": Change(either(calls("Fact"), defines("FAMILIES")), ("pipeline",)),
    "an alert": Change(nowhere, texts={"include/prometheus/**/*.yaml": _ALERT, "include/*.md": _ALERT}),
    "a panel": Change(nowhere, texts={"include/**/*.json": '"panels"'}),
    "who is watched, and how often": Change(says("prometheus:9090"), _STACK, {"include/**/*.yaml": "scrape_interval"}),
    "a benchmark": Change(defines("BENCHMARKS"), ("include/bench",)),
    "a step in a DAG": Change(
        either(takes("assemble"), says("assemble"), runs("assemble")), ("pipeline", "dags", "plugins")
    ),
    "a pool of Airflow": Change(says(_POOLS), ("dags", "plugins", *_STACK), {"include/stack/*.json": '"slots"'}),
    "a bucket": Change(either(says("datasets"), defines("RIGHTS")), (*_PRODUCT, *_STACK)),
    "a secret": Change(
        defines("SECRETS|ROLES"),
        _STACK,
        {"include/k8s/*.sh": "create secret", "docker-compose.yaml": "PASSWORD", ".env.example": "PASSWORD"},
    ),
}


def files_of_policies() -> set[str]:
    """Where the thresholds stand that are settings."""
    policies = {type(info.default) for info in Settings.model_fields.values() if is_dataclass(info.default)}
    return {str(Path(getsourcefile(policy) or "").relative_to(ROOT)) for policy in policies}


@cache
def touched() -> Mapping[str, set[str]]:
    """By change; every file is read once for all of them."""
    found = {name: change.others() for name, change in CHANGES.items()}
    rooms = sorted({room for change in CHANGES.values() for room in change.rooms})
    for path in {path for room in rooms for path in (ROOT / room, *(ROOT / room).rglob("*.py")) if path.is_file()}:
        name = str(path.relative_to(ROOT))
        nodes = list(ast.walk(ast.parse(path.read_text())))
        for of, change in CHANGES.items():
            if any(Path(name).is_relative_to(room) for room in change.rooms) and any(map(change.is_about_it, nodes)):
                found[of].add(name)
    return {**found, "a threshold": files_of_policies()}

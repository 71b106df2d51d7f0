"""The boards of Grafana, as far as they can be tried without it: panels, and queries as Prometheus gets them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.demo.prometheus import PrometheusApi
from include.stack.layout import REPOSITORY

FILES = sorted((REPOSITORY / "include/grafana/dashboards").glob("*.json"))
BOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FILES}
# What Grafana puts in, for a look at an hour.
_FILLED = {"$__rate_interval": "1m", '"$model"': '".+"'}


@dataclass(frozen=True)
class Query:
    """One question of one panel, annotation or variable of a board."""

    board: str
    place: str
    expr: str
    kind: str = "panel"

    @property
    def filled(self) -> str:
        text = self.expr
        for name, value in _FILLED.items():
            text = text.replace(name, value)
        return text

    @property
    def quiet(self) -> str | None:
        """Why it may be empty after a demo."""
        return QUIET.get(self.place)

    @property
    def names(self) -> set[str]:
        """The metrics that it asks for."""
        plain = re.sub(r'"[^"]*"|\[[^\]]*\]|\b(?:by|on|ignoring|group_left) \([^)]*\)', "", self.expr)
        return set(re.findall(r"\b[a-z]+:?[a-z]*_[a-z_:0-9]+\b(?!\s*\()", re.sub(r"\{[^}]*\}", "", plain)))


def queries() -> Iterator[Query]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            yield from (Query(name, panel["title"], target["expr"]) for target in panel["targets"])
        for annotation in board["annotations"]["list"]:
            yield Query(name, annotation["name"], annotation["expr"], "annotation")
        for variable in board["templating"]["list"]:
            if found := re.fullmatch(r"label_values\((\w+), \w+\)", variable["query"]):
                yield Query(name, f"${variable['name']}", found[1], "variable")


# Panels that may be empty after a demo, and why: the demo fails when a line of another one is.
QUIET = {
    "GPU use": "the machine has none",
    "Live accuracy": "the newest champion has too few confirmations to tell",
    "State of the face champion": "no face model serves",
    "Wrongly refused at doors": "no face model serves",
    "Wrongly let in at doors": "no face model serves",
    "Blind sample": "nobody reviewed blindly",
    "Verified against live": "live accuracy is not known yet",
    "Frozen, failed or incomplete": "nothing is",
    "On trial": "no canary runs",
    "A branch manager's time for a photo": "the demo's branch managers are programs",
    "Share of verdicts by label and branch": "too few confirmations came since Prometheus looks",
    "Mean confidence by branch": "too few confirmations came since Prometheus looks",
    "Replicas out of rotation": "nobody took one out",
    "What keeps the loop from turning": "nothing does, or the monitor did not look yet",
}


def empty(api: PrometheusApi) -> list[Query]:
    """Queries without a single series, of those that may not be: each line of a panel, and each variable.

    Annotations are of moments: most of the time there is none.
    """
    asked = (query for query in queries() if query.kind != "annotation" and query.quiet is None)
    return [query for query in asked if not api.query(query.filled)]

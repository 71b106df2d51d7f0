"""What a performance measured, which promises did not hold, and a table of both."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.adapters.code_version import git_commit


@dataclass
class Report:
    """Figures in the order they were measured; `broken` are the promises that did not hold."""

    title: str = "The whole loop, measured"
    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def record(self, **figures: Any) -> None:
        self.figures.update(figures)

    def demand(self, holds: bool, promise: str) -> None:
        """Note the promise if it does not hold; the performance goes on, so that the report is complete."""
        if not holds:
            self.broken.append(promise)

    def judge_requests(self) -> None:
        """What the traffic must show."""
        f = self.figures
        self.demand(f["requests_sent"] > 0 and f["requests_failed"] == 0, "not one request failed")
        self.demand(f["unversioned_answers"] == 0, "every answer names the model version that gave it")

    def judge_loop(self) -> None:
        """What the whole loop must show."""
        f = self.figures
        known = f["events_stored"] + f["duplicates_ignored"] + f["dead_lettered"]
        better = f["holdout_accuracy_after"] > f["holdout_accuracy_before"]
        self.demand(f["events_published"] == known, "every event is stored once, ignored as duplicate or dead-lettered")
        self.demand(f["corrections"] >= 120, "120 or more corrections")
        self.demand(f["dead_lettered"] == f["garbage_published"], "exactly the garbage is in the dead-letter queue")
        self.demand(f["duplicates_ignored"] >= f["duplicates_published"], "duplicates were recognised")
        self.demand(f["train_count"] + f["validation_count"] == f["image_count"], "image_count is the sum of its parts")
        self.demand(better, "the new model is better on the holdout")
        self.demand(f["holdout_accuracy_after"] >= 0.90, "holdout accuracy of at least 0.90")
        self.demand(f["deploy_seconds"] < 60, "deployment within a minute")
        self.demand(f["rollback_seconds"] < 60, "rollback within a minute")

    def write(self, path: Path) -> None:
        when = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": git_commit()[:12]}
        body = {**self.figures, **when, "passed": not self.broken, "broken_promises": self.broken}
        path.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n")

    def show(self, console: Console) -> None:
        table = Table(title=self.title, show_header=False)
        table.add_column(style="bold")
        table.add_column(justify="right")
        for name, value in self._rows():
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
        console.print(table)
        for promise in self.broken:
            console.print(f"[bold red]✗ did not hold:[/] {escape(promise)}")
        if not self.broken:
            console.print("[bold green]✓ every promise held[/]")

    def _rows(self) -> Iterator[tuple[str, Any]]:
        for name, value in self.figures.items():
            if isinstance(value, dict):
                yield from ((f"{name}.{part}", inner) for part, inner in value.items())
            else:
                yield name, value

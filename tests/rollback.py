"""`python -m tests.rollback [TIMES]`: rollbacks through the page, from the second click to every replica read back.

A stack of its own, where nothing else goes on; the figures are those of a machine that does nothing else, too.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import click
import httpx
import psutil
from playwright.sync_api import FrameLocator, Page, sync_playwright

from include.bench import results
from include.bench.measurement import Found
from include.demo.pictures import browser_program
from tests import lifeline
from tests.browser.visiting import AT_A_DESK, open_window
from tests.faults.world import LAUNDRY, World
from tests.services import running
from tests.waiting import until

_DAG, _INTAKE, _REASON = "model_rollback", "task_confirmed_intake", "Reason (kept for ever)"
_PROOF = re.compile(r"Every replica serves (v[\d.]+): ([\d.]+) s")
_PATIENCE_MS = 240_000
_LOADS = 5


@dataclass(frozen=True)
class Rolled:
    """`whole` is what the page says; `parts` follow each other, in seconds; `processor` are those of the programs."""

    whole: float
    parts: dict[str, float]
    processor: float


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("times", type=click.IntRange(1), default=10)
def main(times: int) -> None:
    """Print each rollback, then the medians; the first one, which finds nothing warm, is not counted."""
    with tempfile.TemporaryDirectory(prefix="rollback-") as folder, _window(Path(folder)) as (world, page):
        _until_quiet(world)
        painted = median(_first_paint(page) for _ in range(_LOADS))
        click.echo(f"first paint of the dashboard: {painted:.2f} s, the median of {_LOADS} loads")
        _told("first", _rolled(world, page))
        (load, *_), begun = os.getloadavg(), time.monotonic()
        found = [_told(str(number), _rolled(world, page)) for number in range(1, times + 1)]
    parts = {name: median(one.parts[name] for one in found) for name in found[0].parts}
    middle = Rolled(median(one.whole for one in found), parts, median(one.processor for one in found))
    _told(f"median of {times}", middle)
    figures = {"rollback_seconds_median": middle.whole, "rollback_seconds_max": max(one.whole for one in found)}
    figures["dashboard_first_paint_seconds"] = painted
    kept = Found(figures, f"{times} rollbacks through the page, from the second click to every replica read back")
    results.keep(results.RESULTS, "rollback", kept, time.monotonic() - begun, load)


def _told(name: str, one: Rolled) -> Rolled:
    parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in one.parts.items())
    click.echo(f"{name:>12}: {one.whole:.1f} s ({parts}); {one.processor:.1f} s of processor time")
    return one


@contextmanager
def _window(folder: Path) -> Iterator[tuple[World, Page]]:
    """A person's window on the dashboard of a stack where two versions have served."""
    with running(folder, ()) as services, sync_playwright() as playwright:
        world = World(services, None)
        for _ in range(2):
            version = world.new_version()
            # A replica that has just begun on a busy machine may miss its deadline.
            until(lambda version=version: world.hot_swap(version).said().status == 0, f"{version} to serve", 240)
        browser = playwright.chromium.launch(executable_path=browser_program(), args=["--no-sandbox"])
        url = f"http://127.0.0.1:{services.stack.port('airflow')}"
        page = open_window(browser, url, AT_A_DESK).page
        page.set_default_timeout(_PATIENCE_MS)
        page.goto("/")
        page.locator("input[name=username]").fill("admin")
        page.locator("input[name=password]").fill(services.stack.secrets["airflow_admin"])
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("^(?!.*login)"))
        page.goto("/plugin/models")
        yield world, page
        browser.close()


def _first_paint(page: Page) -> float:
    """From the moment in which Airflow's frame asks for the page, in seconds; its data come afterwards."""
    page.goto("/plugin/models")
    page.frame_locator("iframe").locator("#serving-now p").first.wait_for()
    (frame,) = [one for one in page.frames if one.parent_frame]
    return float(frame.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")) / 1000


def _rolled(world: World, page: Page) -> Rolled:
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Roll back…").click()
    frame.get_by_label(_REASON).fill("measured")
    used, clicked = _processor_seconds(world), time.time()
    frame.get_by_role("button", name=re.compile("Roll back to .* on every replica")).click()
    whole = _proven(frame)
    parts = _parts(world, clicked, clicked + whole)
    _until_quiet(world)
    frame.get_by_role("button", name="Close").click()
    return Rolled(whole, parts, _processor_seconds(world) - used)


def _proven(frame: FrameLocator) -> float:
    panel = frame.locator("#serving-panel").filter(has_text=_PROOF)
    panel.wait_for()
    found = _PROOF.search(panel.inner_text())
    assert found
    return float(found[2])


def _parts(world: World, clicked: float, proven: float) -> dict[str, float]:
    """What happened one after the other, each from the moment before."""
    airflow = _Airflow(world)
    run, task = airflow.newest_rollback()
    ledger = world.tables.transitions.ledger(LAUNDRY)
    moments = {
        "asked": run["queued_at"],
        "scheduled": task["queued_when"],
        "task begun": task["start_date"],
        "decided": ledger.changes[-1].at,
        "served": ledger.reigns[-1].since,
        "shown": proven,
    }
    before, parts = clicked, {}
    for name, moment in moments.items():
        at = _seconds(moment)
        parts[name], before = at - before, at
    return parts


def _seconds(moment: object) -> float:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)


def _until_quiet(world: World) -> None:
    """Nothing runs but the intake, which waits for messages: a new stack has nights to catch up with."""
    airflow = _Airflow(world)
    while airflow.running() - {_INTAKE}:
        time.sleep(1)


class _Airflow:
    def __init__(self, world: World) -> None:
        url = f"http://127.0.0.1:{world.stack.port('airflow')}"
        login = {"username": "admin", "password": world.stack.secrets["airflow_admin"]}
        token = httpx.post(f"{url}/auth/token", json=login, timeout=60).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=f"{url}/api/v2/dags", headers=headers, timeout=60)

    def running(self) -> set[str]:
        """DAGs with a run that has not ended."""
        going = [self._runs("~", state=state) for state in ("queued", "running")]
        return {run["dag_id"] for runs in going for run in runs}

    def newest_rollback(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The run, and its task that rolls back."""
        (found,) = self._runs(_DAG, order_by="-run_after", limit="1")
        return found, self._client.get(f"/{_DAG}/dagRuns/{found['dag_run_id']}/taskInstances/roll_back").json()

    def _runs(self, dag_id: str, **wanted: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.get(f"/{dag_id}/dagRuns", params=wanted).json()["dag_runs"]
        return found


def _processor_seconds(world: World) -> float:
    """Of all programs of the stack since they began, with those that they waited for."""
    total = 0.0
    for process in world.supervision.processes():
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    lifeline.hold()
    sys.exit(main())

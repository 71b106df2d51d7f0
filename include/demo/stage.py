"""The stage that demo and drill share: headlines, waiting, promises, traffic, and access to Airflow and database."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from include.demo.event_log import EventLog
from include.demo.report import Report
from include.demo.traffic import Answer, Ask, Traffic, about_laundry, versions
from include.stack.airflow_api import airflow_of
from include.stack.layout import Stack
from include.stack.postgres import query
from include.stack.services import StackError
from pipeline.bootstrap import GiveUp, TryAgain

_POLL_SECONDS = 0.5
_ANSWER_SECONDS = 30.0
# Each ends an act, or the whole performance, with a sentence; any other exception is a fault of the program.
REFUSALS = (StackError, GiveUp, TryAgain, RuntimeError, TimeoutError)


class Stage:
    """One performance on a running stack; `report` keeps what its acts measured and the promises they broke.

    Inside `with stage:` model events are recorded and the traffic that `send` starts goes on; both end with it.
    """

    def __init__(self, stack: Stack, title: str, console: Console) -> None:
        self.stack, self.report = stack, Report(title)
        self.airflow, self.events = airflow_of(stack), EventLog(stack.amqp_url)
        self._console = console
        self._traffic: Traffic | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self.events.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._traffic:
            self._traffic.stop()
        self.events.stop()

    # Acts

    def act(self, title: str) -> None:
        """Headline of what happens next."""
        self._console.print(f"[dim]{time.monotonic() - self._started:6.1f} s[/]  [bold]{title}[/]", soft_wrap=True)

    def say(self, text: str) -> None:
        self._console.print(f"          {text}", markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[], None]]:
        """Yields a function to call after each of `total` steps; a terminal shows a bar."""
        with Progress(console=self._console, transient=True, disable=not self._console.is_terminal) as progress:
            task = progress.add_task(title, total=total)
            yield lambda: progress.advance(task)

    def attempt(self, act: Callable[[], None]) -> None:
        """Play an act; a refusal is noted as a broken promise, so that the next act can follow."""
        try:
            act()
        except REFUSALS as error:
            self._console.print(f"          [red]did not happen:[/] {escape(str(error))}", soft_wrap=True)
            self.report.demand(False, f"{act.__name__.strip('_').replace('_', ' ')}: {error}")

    def wait(self, ready: Callable[[], Any], what: str, seconds: float) -> Any:
        """The first true answer of `ready`; `TimeoutError` when there is none in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := ready():
                return found
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"waited {seconds:.0f} s for {what}")

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the pipeline's database."""
        return query(self.stack.dsn("mlops", "mlops"), sql, values or None)

    # Traffic

    def send(self, photos: Sequence[bytes], requests_per_second: float, ask: Ask = about_laundry) -> None:
        """Start asking each replica about these photos, until the end of the performance."""
        self._traffic = Traffic(self.stack.replicas, photos, requests_per_second, ask)
        self._traffic.start()

    def answers(self) -> list[Answer]:
        return self._traffic.answers() if self._traffic else []

    def wait_until_served(self, version: str) -> None:
        """Until the newest answer of each replica comes from this version."""

        def served() -> bool:
            newest = {answer.replica: answer.version for answer in self.answers()}
            return set(newest.values()) == {version}

        self.wait(served, f"both replicas to answer as {version}", _ANSWER_SECONDS)

    def conclude(self) -> Report:
        """Count requests and seconds, judge the requests, and return the report."""
        answers = self.answers()
        failed = [answer for answer in answers if answer.error]
        for answer in failed[:5]:
            self.say(f"failed request at {answer.replica}: {answer.error}")
        self.say("answers by version: " + ", ".join(f"{v}: {n}" for v, n in sorted(versions(answers).items())))
        self.report.record(
            requests_sent=len(answers),
            requests_failed=len(failed),
            unversioned_answers=sum(not a.version and not a.error for a in answers),
            total_seconds=round(time.monotonic() - self._started, 1),
        )
        self.report.judge_requests()
        return self.report


def publish(report: Report, path: Path, console: Console) -> int:
    """Write and print the report; exit status 1 when a promise was broken."""
    report.write(path)
    report.show(console)
    console.print(f"report: {path}", soft_wrap=True)
    return 1 if report.broken else 0


@contextmanager
def refusals_as_sentences(what: str, console: Console) -> Iterator[None]:
    """Print what keeps the program from going on as one sentence, and exit with status 1."""
    try:
        yield
    except REFUSALS as error:
        console.print(f"[bold red]the {what} cannot go on:[/] {escape(str(error))}")
        sys.exit(1)

"""Which mutants the tests notice: pytest collects once, and every mutant meets its tests in a fork of that process.

A first fork runs all tests on the code as it is and says which test runs which lines. A mutant is asked about by those
that run its statement, in the order of who is likely to notice and fast, until one fails.
"""

import os
import pickle
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest

from tests.mutation.mutants import Mutant

# A busy machine must not look like a loop without end.
_SLACK_SECONDS, _SLACK_TIMES = 20.0, 10.0
_POLL_SECONDS = 0.002


@dataclass
class Reach:
    """What the tests do to the code as it is."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    tests_by_line: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    def of(self, mutant: Mutant) -> set[str]:
        lines = (self.tests_by_line.get((mutant.file, line), set()) for line in mutant.statement)
        return set().union(*lines)


@dataclass(frozen=True)
class Outcome:
    """`noticed_by` is a test, or what else ended it; None for a survivor that `tests` tests met."""

    mutant: Mutant
    noticed_by: str | None
    tests: int


def try_all(mutants: Sequence[Mutant], tests: Sequence[str], tell: Callable[[Outcome], None]) -> list[str]:
    """Tell of each mutant what came of it. Returns the tests that fail on the code as it is: then nothing was tried."""
    # The same cases every time; a failure need be neither small nor kept.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, phases=phases)
    hypothesis.settings.load_profile("mutation")
    with tempfile.TemporaryDirectory() as folder:
        trial = _Trial(mutants, tell, Path(folder))
        plain = ["-qq", "-s", "--no-summary", "-p", "no:cacheprovider", f"--basetemp={folder}/tests"]
        status = pytest.main([*plain, *tests], plugins=[trial])
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        sys.exit("the tests cannot be collected: see what pytest says of them")
    return trial.reach.failed


class _Trial:
    """The plugin that runs instead of pytest's loop over the tests."""

    def __init__(self, mutants: Sequence[Mutant], tell: Callable[[Outcome], None], folder: Path) -> None:
        self.reach = Reach()
        self._mutants, self._tell, self._folder = mutants, tell, folder
        self._failed = False
        self._noticing: dict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        answer = self._forked(lambda: self._look(list(items.values())), None)
        assert isinstance(answer, Reach), "the tests do not come to an end"
        self.reach = answer
        for mutant in [] if self.reach.failed else self._mutants:
            self._tell(self._outcome(mutant, items))
        return True

    def _outcome(self, mutant: Mutant, items: dict[str, pytest.Item]) -> Outcome:
        seconds, first = self.reach.seconds, self._noticing[mutant.function]
        tests = sorted(self.reach.of(mutant), key=lambda test: (test not in first, seconds[test], test))
        limit = _SLACK_SECONDS + _SLACK_TIMES * sum(seconds[test] for test in tests)

        def noticed() -> str | None:
            mutant.apply()
            return self._first_failing([items[test] for test in tests])

        by = self._forked(noticed, limit) if tests else None
        if by in items:
            first.append(by)
        return Outcome(mutant, by, len(tests))

    def _look(self, items: Sequence[pytest.Item]) -> Reach:
        reach = Reach()
        files = sorted({mutant.file for mutant in self._mutants})
        lines = coverage.Coverage(data_file=None, include=files, config_file=False)
        lines.start()
        for item, after in zip(items, [*items[1:], None], strict=True):
            lines.switch_context(item.nodeid)
            started, self._failed = time.perf_counter(), False
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            reach.seconds[item.nodeid] = time.perf_counter() - started
            if self._failed:
                reach.failed.append(item.nodeid)
        lines.stop()
        for file in files:
            for line, tests in lines.get_data().contexts_by_lineno(str(Path(file).resolve())).items():
                reach.tests_by_line[file, line] = {test for test in tests if test}
        return reach

    def _first_failing(self, items: Sequence[pytest.Item]) -> str | None:
        for item, after in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if self._failed:
                return item.nodeid
        return None

    def _forked(self, work: Callable[[], Any], limit_seconds: float | None) -> Any:
        """What `work` returns in a process of its own; a sentence when it never did."""
        kept = self._folder / "answer"
        kept.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            _silently(lambda: kept.write_bytes(pickle.dumps(work())))
        started = time.monotonic()
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if limit_seconds is not None and time.monotonic() - started > limit_seconds:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return f"no end within {limit_seconds:.0f} s"
            time.sleep(_POLL_SECONDS)
        return pickle.loads(kept.read_bytes()) if kept.exists() else "the process died"


def _silently(work: Callable[[], object]) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    try:
        work()
    finally:
        os._exit(0)

"""A retraining as a whole: whether it is due, who has the claim, how it ended."""

import logging
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from functools import cached_property
from typing import Any

from pipeline.bootstrap import answers
from pipeline.bootstrap.live import LiveSteps
from pipeline.bootstrap.model_wiring import ModelWiring
from pipeline.domain.errors import ClaimLost, GiveUp, TrainingInterrupted, TryAgain
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import SAYS_IT_LIVES_EVERY, Asker, RunOutcome
from pipeline.ports.bundles import Scheduling
from pipeline.ports.events import Attendance
from pipeline.steps.announce_skipped import announce_skipped
from pipeline.steps.begin_run import begin_run
from pipeline.steps.consider import consider
from pipeline.steps.finish_run import finish_run
from pipeline.steps.release_claim import release_claim
from pipeline.steps.resume_run import resume_run

log = logging.getLogger(__name__)


class RunSteps(LiveSteps, ABC):
    @cached_property
    def _models(self) -> ModelWiring:
        return ModelWiring(self._w)

    @abstractmethod
    def _scheduled(self, model_type: str) -> tuple[Scheduling, ModelType]:
        """What decides whether a retraining of this type is due. Raises `GiveUp` for a type without one here."""

    def consider(self, model_type: str, asker: Asker) -> dict[str, Any]:
        """The policy's answer, recorded."""
        return answers.of_decision(*consider(*self._scheduled(model_type), asker))

    def begin_run(self, run_id: str, model_type: str, asker: Asker) -> dict[str, Any]:
        """Claim the model type for this run if the policy says due; a run that holds the claim goes on with it."""
        scheduling, of_type = self._scheduled(model_type)
        return asdict(begin_run(scheduling, run_id, of_type, asker))

    def resume_run(self, run_id: str, model_type: str) -> None:
        """A run that had ended claims its model type again; one that did not goes on."""
        scheduling, of_type = self._scheduled(model_type)
        resume_run(scheduling, run_id, of_type)

    def attended(self, run_id: str) -> AbstractContextManager[Attendance]:
        """This process alone works at the run by hand. Raises `RunBusy` while another one does."""
        return self._w.retraining_runs.attended(run_id)

    @contextmanager
    def said_to_live(self, run_id: str, attendance: Attendance) -> Iterator[None]:
        """Meanwhile the run's process keeps saying that it is alive, so that a killed one does not block others for
        days.

        When it was silent for so long that another one may have its claim, it ends as at SIGTERM (`end_on_sigterm`),
        and raises `ClaimLost`.
        """
        stop, lost, w, working = threading.Event(), threading.Event(), self._w, threading.get_ident()
        # A run that has ended anyway is not interrupted any more.
        ending = threading.Lock()

        def end() -> None:
            with ending:
                if not stop.is_set():
                    lost.set()
                    # To the main thread, which may be waiting for a disk or the network.
                    signal.pthread_kill(working, signal.SIGTERM)

        def say() -> None:
            while True:
                try:
                    if not attendance.lives(at=w.clock.now()):
                        end()
                        return
                except TryAgain as error:
                    log.warning("nobody hears that run %s lives: %s", run_id, error)
                if stop.wait(SAYS_IT_LIVES_EVERY.total_seconds()):
                    return

        saying = threading.Thread(target=say, name="lives", daemon=True)
        saying.start()
        try:
            try:
                yield
            finally:
                with ending:
                    stop.set()
                saying.join()
        except TrainingInterrupted:
            if not lost.is_set():
                raise
            raise ClaimLost(
                f"run {run_id} has no claim any more, or another process goes on with it: nothing was heard of it for"
                " minutes, or a person released it; it goes on from its checkpoint when it is begun again"
            ) from None

    def _works_alone(self, attendance: Attendance) -> bool:
        try:
            return attendance.lives(at=self._w.clock.now())
        except TryAgain:
            # The first word is what meets a session that broke.
            return attendance.lives(at=self._w.clock.now())

    def outcome_of_run(self, run_id: str) -> str | None:
        """How a run ended that held the claim once; None while it holds it, and for one that never did."""
        return self._w.retraining_runs.outcome(run_id)

    def end_run(self, run_id: str, outcome: str, attendance: Attendance) -> None:
        """Release the claim: `deployed`, `refused`, `held`, or `failed`, unless the log knows that it serves.

        Another process may have taken the run over since this one last said that it lives: its claim stays.
        """
        if outcome == RunOutcome.FAILED:
            # The claim is released whatever failed after it went live, and whatever is out of reach now.
            with suppress(GiveUp, TryAgain):
                outcome = self.conclude_deployment(run_id)
        if outcome != RunOutcome.DEPLOYED and not self._works_alone(attendance):
            log.warning("run %s has no claim any more, or it is another process's: nothing is released", run_id)
            return
        self._w.retraining_runs.end(run_id, at=self._w.clock.now(), outcome=outcome)

    def release_claim(self, run_id: str, actor: str, reason: str) -> str:
        """Declare the run dead, so that another one may claim its model type; returns its recorded outcome."""
        return release_claim(self._models.scheduling, run_id, actor=actor, reason=reason)

    def finish_run(self, run_id: str) -> str:
        """Publish what happened and release the claim. Raises `RunEnded` unless the run's model was deployed."""
        return str(finish_run(self._models.scheduling, run_id, conclude_deployment=self.conclude_deployment))

    def announce_skipped(self, run_id: str, model_type: str, reason: str, forced_for: str | None = None) -> None:
        """A nightly run had nothing to do, or one that nobody looks at may not begin: `forced_for` says why it was
        forced.
        """
        scheduling, of_type = self._scheduled(model_type)
        announce_skipped(scheduling, run_id, of_type, reason, forced_for=forced_for)

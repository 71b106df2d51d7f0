"""Ending a training from outside."""

import signal

from pipeline.domain.errors import TrainingInterrupted


def end_on_sigterm() -> None:
    """Let SIGTERM end the training in this process with a checkpoint, as `TrainingInterrupted`."""

    def interrupt(number: int, frame: object) -> None:
        # Only the first signal counts: a second one must not interrupt the writing of the checkpoint.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise TrainingInterrupted("asked to end")

    signal.signal(signal.SIGTERM, interrupt)

"""`python -m tests.faults.dying CALL before|after`: the intake in a process that kills itself around a port call.

No handler runs and nothing is flushed, as when the kernel does it.
"""

import os
import signal
import sys

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.rabbitmq import RabbitEventQueue
from pipeline.ports.intake import Intake
from pipeline.steps.accumulate import accumulate
from tests.broker import EXCHANGE, QUEUE
from tests.builders import BUCKETS
from tests.fakes.faults import Fault


def die() -> BaseException:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives SIGKILL")


if __name__ == "__main__":
    at, when = int(sys.argv[1]), sys.argv[2]
    database = MlopsDatabase(os.environ["RETRAIN_MLOPS_DSN"])
    intake = Intake(
        RabbitEventQueue(os.environ["RETRAIN_AMQP_URL"], exchange=EXCHANGE, queue=QUEUE),
        ConfirmationTable(database),
        FaceConfirmationTable(database),
        SystemClock(),
        BUCKETS,
    )
    fault = Fault(at, when == "after", die)
    print(accumulate(fault.on_ports(intake, but=("clock",)), limit=10_000))

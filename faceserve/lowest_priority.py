"""Importing this gives the whole process the lowest priority: it then runs when nothing else wants the processor.

For the process that candidates' processes are forked from, and these; the server must never import it. Also an
unprivileged process may lower its priority; none can raise it again.
"""

import os

_NICEST = 19

os.setpriority(os.PRIO_PROCESS, 0, _NICEST)
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

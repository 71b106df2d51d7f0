"""What the scheduler imports before its workers are forked."""

import pytest

from plugins.ready_executor import get_ready
from tests.dags.conftest import OUTSIDE
from tests.dags.telling import found_by

_A_TASK_BEGINS = """
import os
import sys
from airflow.executors.executor_loader import ExecutorLoader
executor = ExecutorLoader.import_default_executor_cls()[0]
from plugins.ready_executor import get_ready
get_ready()
before, threads = set(sys.modules), len(os.listdir("/proc/self/task"))
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk.listener import get_listener_manager
from airflow.sdk.plugins_manager import integrate_macros_plugins
integrate_macros_plugins()
get_listener_manager()
bundle = {"bundle_path": "dags", "bundle_name": "dags"}
bag = BundleDagBag("dags/model_rollback.py", safe_mode=False, load_op_links=False, **bundle)
from pipeline.bootstrap.live_wiring import LiveWiring
from pipeline.bootstrap.wiring import Wiring
from pipeline.settings import Settings
LiveWiring(Wiring(Settings())).deployment
known = {name.partition(".")[0] for name in before}
imported = sorted({name.partition(".")[0] for name in sys.modules} - known)
found = [executor.__name__, threads, "grpc" in before, sorted(bag.dags), imported]
from tests.dags.telling import tell
tell(found)
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    variables = {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        **OUTSIDE,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "plugins.ready_executor.ReadyLocalExecutor",
    }
    found, _ = found_by("-c", _A_TASK_BEGINS, variables=variables)
    return found


def test_a_rollbacks_task_finds_everything_imported_but_grpc(seen):
    executor, _, _, dags, imported = seen
    assert (executor, dags) == ("ReadyLocalExecutor", ["model_rollback"])
    left = [name for name in imported if not name.startswith(("unusual_prefix", "grpc", "google", "_cython"))]
    assert left == []


def test_the_scheduler_has_no_thread_and_nothing_of_grpc_when_it_forks_its_workers(seen):
    _, threads, grpc, _, _ = seen
    assert (threads, grpc) == (1, False)


def test_a_module_that_cannot_be_imported_keeps_no_scheduler_from_starting():
    get_ready(["no.such.module"])

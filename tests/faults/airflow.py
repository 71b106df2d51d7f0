"""Faults of Airflow's own programs, each in the middle of a run that changes what serves (row 15)."""

from include.stack import runner
from include.stack.airflow_api import AirflowApi, AirflowError, airflow_of
from include.stack.services import airflow
from include.stack.supervision import Supervision
from tests.faults.world import PATIENCE_SECONDS, PROGRAMS, World
from tests.waiting import until

_DAG = "model_rollback"
_KILLED = ("airflow_scheduler", "airflow_triggerer", "airflow_dag_processor", "airflow_api")
# A scheduler that comes back waits half a minute before it takes up what the dead one had begun.
_RUN_SECONDS = 900


def killed_during_a_rollback(world: World) -> str:
    runner.up(world.stack.root, lambda text: None, [*PROGRAMS, "airflow"])
    api = airflow_of(world.stack)
    until(lambda: api.knows(_DAG), "the DAGs to be known", PATIENCE_SECONDS)
    # Nobody else may change what serves meanwhile.
    for dag in ("task_confirmed_intake", "live_accuracy_monitor", "laundry_model_retraining"):
        api.pause(dag)
    api.unpause(_DAG)
    seen = [_rolled_back(world, api, program) for program in _KILLED]
    for program in airflow(world.stack, {}).programs:
        Supervision(world.stack).stop(program.name)
    return "; ".join(seen)


def _rolled_back(world: World, api: AirflowApi, program: str) -> str:
    before, target = world.champion, world.previous
    run_id = f"matrix-{program}"
    api.trigger(_DAG, run_id, {"target": target, "reason": f"{program} is killed"})
    until(lambda: any(task.state for task in api.tasks(_DAG, run_id)), "its first task", PATIENCE_SECONDS)
    world.kill(program)
    until(lambda: _state(api, run_id) in {"success", "failed"}, f"{run_id} to end", _RUN_SECONDS)
    assert (_state(api, run_id), world.champion) == ("success", target), before
    return f"{program} killed: {before} → {target}, the run succeeded"


def _state(api: AirflowApi, run_id: str) -> str:
    """Empty while nobody answers."""
    try:
        return next(run["state"] for run in api.runs(_DAG) if run["dag_run_id"] == run_id)
    except (AirflowError, OSError):
        return ""

"""Runs the tasks of a DAG one by one as Airflow's worker does: templates and arguments resolved, then executed."""

import copy
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk.definitions._internal.types import NOTSET
from airflow.sdk.execution_time.context import OutletEventAccessors, set_current_context

ASKED_AT = datetime(2026, 5, 4, 6, 11, tzinfo=UTC)


class Kept(dict):
    """A task's state store: what it keeps from one try to the next."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class DagRun:
    """One run of `dag`, started by `user` with `form`; `results` are the XComs, by task id."""

    def __init__(self, dag: Any, *, run_id: str = "run-1", run_type: str = "manual", user: Any = "kim", **form: Any):
        self.dag, self.run_id, self.results, self.pushed = dag, run_id, {}, {}
        self.kept: dict[str, Kept] = {}
        self.params = {**dag.params.dump(), **form}
        self.run = SimpleNamespace(
            run_id=run_id, run_type=run_type, triggering_user_name=user, run_after=ASKED_AT, conf=form, clear_number=0
        )
        self.outlet_events = OutletEventAccessors()
        self.paused: set[str] = set()
        # Runs of each DAG that wait in the queue, and that run.
        self.waiting: dict[str, int] = {}
        self.running: dict[str, int] = {dag.dag_id: 1}
        # Of tasks that Airflow knows to have ended.
        self.states: dict[str, str] = {}
        # How the same task ended in the run before.
        self.before: Any = None

    def context(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        task = self.dag.get_task(task_id)
        ti = SimpleNamespace(
            id="ti-1",
            task_id=task_id,
            dag_id=self.dag.dag_id,
            run_id=self.run_id,
            map_index=map_index,
            try_number=1,
            max_tries=3,
            start_date=ASKED_AT,
            task=task,
            xcom_pull=self._pull,
            xcom_push=lambda key, value: self.pushed.__setitem__((task_id, key), value),
            get_dag=lambda dag_id: SimpleNamespace(is_paused=dag_id in self.paused),
            get_dr_count=self.count,
            get_task_states=lambda dag_id, run_ids: {run_id: self.states for run_id in run_ids},
            get_previous_ti=lambda map_index: self.before,
            log_url=f"http://airflow/{self.dag.dag_id}/{task_id}",
            get_relevant_upstream_map_indexes=lambda **_: None,
        )
        return {
            "ti": ti,
            "task_instance": ti,
            "task": task,
            "dag": self.dag,
            "dag_run": self.run,
            "run_id": self.run_id,
            "params": self.params,
            "outlet_events": self.outlet_events,
            "task_state_store": self.kept.setdefault(task_id, Kept()),
        }

    def asset_events(self) -> dict[str, dict[str, Any]]:
        """What the tasks said of each asset, by its name."""
        direct, aliased = {}, {}
        for key in self.outlet_events:
            accessor = self.outlet_events[key]
            direct |= {key.name: accessor.extra} if accessor.extra else {}
            aliased |= {event.dest_asset_key.name: event.extra for event in accessor.asset_alias_events}
        return {**direct, **aliased}

    def count(self, dag_id: str, states: list[str]) -> int:
        return sum({"queued": self.waiting, "running": self.running}[state].get(dag_id, 0) for state in states)

    def do(self, task_id: str, *, map_index: int = -1, method: str = "execute", **event: Any) -> Any:
        """Execute a task, or resume it in `method`; its answer is kept for the tasks that follow."""
        context = self.context(task_id, map_index)
        task = copy.copy(self.dag.get_task(task_id))
        task = task if task.is_mapped else task.prepare_for_execution()
        context["task"] = task
        task.render_template_fields(context)
        task = context["task"]
        with set_current_context(context):
            self.results[task_id] = answer = getattr(task, method)(context, **event)
        return answer

    def _pull(self, task_ids: str, key: str = "return_value", default: Any = None, **_: Any) -> Any:
        other = self.pushed.get((task_ids, key), default)
        found = self.results.get(task_ids, default) if key == "return_value" else other
        return None if found is NOTSET else found

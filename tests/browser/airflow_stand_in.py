"""What the dashboard needs of Airflow, without a scheduler: a frame around the page, its API, and a person."""

import threading
from contextlib import contextmanager
from dataclasses import replace

import uvicorn
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Body, FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.steps.answer_held import approve, refuse
from pipeline.steps.withhold import give_back, withhold
from plugins.model_dashboard.app import make_app
from tests.unit.pipeline.dashboard_world import Overlooked

# As Airflow frames a plugin's page.
_FRAME = """<!doctype html><html class="{light}" lang="{language}"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><title>Airflow</title>
<style>body{{margin:0}}iframe{{border:0;width:100vw;height:100vh;display:block}}</style>
<iframe src="/model-dashboard/" sandbox="allow-scripts allow-same-origin allow-forms allow-downloads"></iframe>"""

# Of React what the strip needs: elements, and one state that is told when it changes.
_HOME = """<!doctype html><title>Airflow</title><link rel="icon" href="data:,"><div id="home"></div>
<script>
const draw = () => home.replaceChildren(AirflowPlugin() ?? "");
let state, begun;
globalThis.React = {react} && {{
  createElement(tag, properties, ...inside) {{
    const made = document.createElement(tag);
    if (properties?.href) made.href = properties.href;
    if (properties?.id) made.id = properties.id;
    made.append(...inside.flat());
    return made;
  }},
  useState: (first) => [state ?? first, (next) => {{ state = next; draw(); }}],
  useEffect: (act) => {{ if (!begun) {{ begun = true; act(); }} }},
}};
import("/model-dashboard/files/newest/strip.js").then(draw);
</script>"""


class LateReplicas:
    """A fleet of which some replicas still say what they served before: `late` by their name."""

    def __init__(self, fleet):
        self._fleet, self.late = fleet, {}

    def serving(self, model_type):
        found = self._fleet.serving(model_type)
        return [replace(s, version=self.late[s.replica]) if s.replica in self.late else s for s in found]

    def __getattr__(self, name):
        return getattr(self._fleet, name)


class AirflowStandIn:
    """`role` is the person's; `paused` DAGs and `ill` parts are told as Airflow does; `runs` by their ids.

    `begun` are the DAGs and runs that were asked for; `at_work`, the tasks of a retraining that goes on.
    `tasks` are those of the `retrainings`; of others it clears none, and says that it is done.
    A rollback is carried out as soon as it is asked for, or fails and says `fails` in its note; so is a decision, whose
    run is `decided` then.
    """

    def __init__(self, world):
        self.world, self.fleet = world, LateReplicas(world.fleet)
        self.overlooked = Overlooked(world, self.fleet)
        self.role, self.paused, self.ill, self.runs = "admin", set(), set(), {}
        self.fails, self.retrainings, self.cleared, self.questions = None, [], [], []
        self.decided = "success"
        self.language, self.light, self.signed_out, self.away = "en", "light", False, None
        self.app = FastAPI()
        self.begun, self.at_work = [], []
        self.administrators, self.tasks = None, {"decide", "register"}
        self.pages = make_app(self._dashboard, lambda: self.administrators)
        self.pages.dependency_overrides[get_user] = self._person
        self.app.mount("/model-dashboard", self.pages)
        self._answer()

    def _person(self):
        if self.signed_out:
            raise HTTPException(401, "Token Expired")
        return SimpleAuthManagerUser(username="eng", role=self.role)

    def _dashboard(self):
        if self.away:
            raise self.away
        return self.overlooked.dashboard

    def _answer(self):
        @self.app.get("/plugin/models")
        def frame():
            return HTMLResponse(_FRAME.format(language=self.language, light=self.light))

        @self.app.get("/")
        @self.app.get("/home")
        def home(react: str = "true"):
            return HTMLResponse(_HOME.format(react=react))

        @self.app.get("/api/v2/monitor/health")
        def health():
            parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
            return {part: {"status": "unhealthy" if part in self.ill else "healthy"} for part in parts}

        @self.app.get("/api/v2/dags/{dag_id}")
        def dag(dag_id: str):
            return {"dag_id": dag_id, "is_paused": dag_id in self.paused}

        @self.app.post("/api/v2/dags/{dag_id}/dagRuns")
        def begin(dag_id: str, asked: dict = Body()):  # noqa: B008
            if asked["dag_run_id"] in self.runs:
                raise HTTPException(409, {"reason": "Unique constraint violation"})
            run = {"dag_run_id": asked["dag_run_id"], "state": "queued", "triggering_user_name": "eng", "asked": asked}
            run |= {"conf": asked["conf"], "note": asked["note"]}
            self.runs[asked["dag_run_id"]] = run
            self.begun.append((dag_id, asked["dag_run_id"]))
            self._carry_out(dag_id, run)
            return run

        @self.app.get("/api/v2/dags/{dag_id}/dagRuns")
        def runs_of(dag_id: str):
            return {"dag_runs": [{"dag_run_id": run_id} for run_id in self.retrainings]}

        @self.app.get("/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        def tasks_of(dag_id: str, run_id: str):
            return {"task_instances": [{"task_id": task_id} for task_id in self.at_work]}

        @self.app.get("/api/v2/dags/~/dagRuns/~/hitlDetails")
        def questions():
            return {"hitl_details": self.questions, "total_entries": len(self.questions)}

        @self.app.get("/dags/{path:path}")
        def page_of_airflow(path: str):
            return HTMLResponse('<!doctype html><link rel="icon" href="data:,">' + path)

        @self.app.post("/api/v2/dags/{dag_id}/clearTaskInstances")
        def clear(dag_id: str, asked: dict = Body()):  # noqa: B008
            found = sorted(self.tasks & set(asked["task_ids"]))
            self.cleared.append((dag_id, asked["dag_run_id"], found))
            return {"task_instances": [{"task_id": task_id} for task_id in found], "total_entries": len(found)}

        @self.app.get("/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        def run(dag_id: str, run_id: str):
            if self.signed_out:
                raise HTTPException(401, "Token Expired")
            return self.runs[run_id]

    def _carry_out(self, dag_id, run):
        conf = run["asked"]["conf"]
        if self.fails:
            run |= {"state": "failed", "note": f"{run['note']}\n\n{self.fails}"}
        elif dag_id == "model_rollback" and dag_id not in self.paused:
            self.world.roll_back(conf["target"], request=run["dag_run_id"])
            run["state"] = "running"
        elif dag_id == "model_decision":
            self._decide(**conf)
            run["state"] = self.decided

    def _decide(self, act, about, model_type, reason):
        world, letters = self.world, self.overlooked.letters
        acts = {
            "abort_canary": world.abort,
            "clear_freeze": lambda freeze: world.clear_freeze(meant=freeze),
            "force_promote": lambda wanted: world.force(wanted, actor="eng", reason=reason),
            "approve": lambda run: approve(run, By("eng", reason, run), blessings=world.blessings, clock=world.clock),
            "refuse": lambda run: refuse(run, By("eng", reason, run), blessings=world.blessings, clock=world.clock),
            "requeue_letter": letters.requeue,
            "discard_letter": letters.discard,
            "withhold": lambda what: withhold(
                self.overlooked.withholdings,
                world.transitions,
                world.clock,
                (ModelType.LAUNDRY, what),
                By("eng", reason, "run"),
            ),
            "give_back": lambda one: give_back(
                self.overlooked.withholdings, world.clock, one, By("eng", reason, "run")
            ),
        }
        acts[act](about)


@contextmanager
def listening(app):
    """Base URL of a server in a thread of its own."""
    init_auth_manager()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off", timeout_keep_alive=600)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()

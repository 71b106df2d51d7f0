"""TaskController: the Helper service's HTTP interface."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from include.contract.client import FaceserveClient, FaceserveError
from include.helper_service.relay import Relay
from include.helper_service.settings import Settings
from include.helper_service.tasks import Confirmation, Contradiction, NoSuchTask, Task, Tasks

Label = Literal["양호", "불량"]
_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
_PHOTO = r"^s3://[a-z0-9][a-z0-9.-]+/[A-Za-z0-9][A-Za-z0-9._/-]*$"
TaskId = Annotated[str, Path(pattern=_ID)]


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", protected_namespaces=())


class NewTask(_Wire):
    task_id: str = Field(pattern=_ID)
    helper_id: str = Field(pattern=_ID)
    photo_url: str = Field(pattern=_PHOTO)


class ConfirmRequest(_Wire):
    """Body of the specification's `POST /helper/tasks/{taskId}/confirm`."""

    final_result: Label
    ai_result: Label
    corrected: bool
    correction_reason: str | None = Field(default=None, max_length=4000)


class TaskView(_Wire):
    task_id: str
    helper_id: str
    photo_url: str
    ai_result: str
    model_version: str | None
    final_result: str | None
    corrected: bool | None
    correction_reason: str | None


def create_app(settings: Settings, verdict: Callable[[str, str], tuple[str, str]] | None = None) -> FastAPI:
    """`verdict` maps photo URL and task id to label and model version; by default a faceserve replica is asked."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.tasks = Tasks(settings.dsn.get_secret_value(), settings.blind_audit_share)
        relay = Relay(app.state.tasks, settings.amqp_url.get_secret_value(), settings.exchange, settings.queue)
        relay.start()
        client = FaceserveClient(settings.faceserve_replicas)
        app.state.verdict = verdict or _asks(client)
        yield
        relay.stop()
        client.close()
        app.state.tasks.close()

    app = FastAPI(title="Helper service (stand-in)", lifespan=lifespan)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/helper/tasks", status_code=201)
    def create(task: NewTask) -> TaskView:
        """A new task gets the AI's first verdict (UC-13)."""
        label, version = app.state.verdict(task.photo_url, task.task_id)
        made = Task(task.task_id, task.helper_id, task.photo_url, label, version)
        return _view(_answered(lambda: app.state.tasks.create(made)))

    @app.get("/helper/tasks/{task_id}")
    def read(task_id: TaskId) -> TaskView:
        return _view(_answered(lambda: app.state.tasks.get(task_id)))

    @app.post("/helper/tasks/{task_id}/confirm")
    def confirm(task_id: TaskId, request: ConfirmRequest) -> TaskView:
        """A branch manager confirms, or takes an earlier word back with another one (UC-14); while the broker is out of
        reach the event waits in the outbox.
        """
        confirmation = Confirmation(**request.model_dump())
        return _view(_answered(lambda: app.state.tasks.confirm(task_id, confirmation)))

    return app


def _asks(client: FaceserveClient) -> Callable[[str, str], tuple[str, str]]:
    def verdict(photo_url: str, task_id: str) -> tuple[str, str]:
        try:
            found = client.classify("laundry", photo_url, task_id=task_id)
        except FaceserveError as error:
            code = 503 if error.may_pass else 422
            raise HTTPException(code, f"no verdict: {error.detail}") from None
        return found.label, found.model_version

    return verdict


def _answered(call: Callable[[], Task]) -> Task:
    try:
        return call()
    except NoSuchTask as error:
        raise HTTPException(404, str(error)) from None
    except Contradiction as error:
        raise HTTPException(409, str(error)) from None


def _view(task: Task) -> TaskView:
    fields: dict[str, Any] = {name: value for name, value in vars(task).items() if name != "confirmed_at"}
    return TaskView(**fields)

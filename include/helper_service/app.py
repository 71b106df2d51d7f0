"""The Helper service's HTTP interface: TaskController, the review page, and what runs beside them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, Request, Response
from opentelemetry.trace import SpanKind

from include.contract.client import FaceserveClient, FaceserveError
from include.contract.tracing import HEADER, sampled, traces_of
from include.helper_service import page, review_api
from include.helper_service.learned import Listening, ModelChanges
from include.helper_service.reviews import DayIsFull, NoSuchReview, OfAnotherBranch, Reviews
from include.helper_service.sampling import Sampling
from include.helper_service.settings import MODEL, Settings
from include.helper_service.settling import Settling
from include.helper_service.tasks import NoSuchTask, Task, Tasks, Verdict
from include.helper_service.wire import ConfirmRequest, NewTask, TaskView
from include.stand_in import refusals
from include.stand_in.asking import faceserve_of, refusal
from include.stand_in.confirming import Confirmation
from include.stand_in.database import Database
from include.stand_in.outbox import Outbox
from include.stand_in.photos import Photos
from include.stand_in.relay import Relay
from include.stand_in.serving import state_of
from include.stand_in.wire import IdInPath

Judge = Callable[[str, str], Verdict]


def create_app(settings: Settings, judge: Judge | None = None) -> FastAPI:
    """`judge` has the verdict on a photo's URL and a task's id; by default a faceserve replica is asked."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as open_:
            _begin(app, settings, open_)
            app.state.judge = judge or _asks(app.state.faceserve)
            yield

    app = FastAPI(title="Helper service (stand-in)", lifespan=lifespan)
    refusals.add_to(app, {NoSuchTask: 404, NoSuchReview: 404, OfAnotherBranch: 403, DayIsFull: 429})
    page.add_to(app)
    app.include_router(review_api.router)

    @app.get("/health", responses={503: {"description": "A part of it has ended"}})
    def health(response: Response) -> dict[str, str | int]:
        """`wordsSetAside` need somebody who reads the log; the service goes on with the others."""
        status = state_of(app.state.background, response)
        return {"status": status, "wordsSetAside": len(app.state.settling.set_aside)}

    @app.get("/helper/reasons")
    def reasons() -> list[str]:
        """What `correctionReason` may begin with, so that models learn from it; free text is taken, too."""
        return list(settings.reasons)

    @app.post("/helper/tasks", status_code=201, responses=refusals.told(400, 403, 409, 422, 503))
    def create(task: NewTask) -> TaskView:
        """A new task gets the AI's first verdict (UC-13)."""
        # No model would learn from a photo that people may not see.
        app.state.photos.address(task.photo_url)
        found = app.state.judge(task.photo_url, task.task_id)
        made = Task(
            **task.model_dump(),
            ai_result=found.label,
            model_version=found.model_version,
            confidence=found.confidence,
            likeliest_reasons=found.reasons,
        )
        return TaskView.of(app.state.tasks.create(made))

    @app.get("/helper/tasks/{task_id}", responses=refusals.told(404, 422, 503))
    def read(task_id: IdInPath) -> TaskView:
        return TaskView.of(app.state.tasks.get(task_id))

    @app.post("/helper/tasks/{task_id}/confirm", responses=refusals.told(400, 403, 404, 409, 422, 503))
    def confirm(task_id: IdInPath, request: ConfirmRequest, asked: Request) -> TaskView:
        """A branch manager confirms, or takes an earlier word back with another one (UC-14); while the broker is out of
        reach the event waits in the outbox.
        """
        with app.state.traces.span("confirm", sampled(asked.headers.get(HEADER)), kind=SpanKind.SERVER):
            return TaskView.of(app.state.tasks.confirm(task_id, Confirmation(**request.model_dump())))

    return app


def _begin(app: FastAPI, settings: Settings, open_: AsyncExitStack) -> None:
    """Everything that requests use, and the threads beside them; what was begun last ends first."""
    sampling = _sampling(settings)
    database = Database(settings.dsn.get_secret_value())
    open_.callback(database.close)
    state = app.state
    state.settings = settings
    state.traces = traces_of("helper")
    open_.callback(state.traces.flush)
    state.outbox = Outbox(database)
    state.tasks = Tasks(database, sampling)
    state.reviews = Reviews(database, sampling, undo_seconds=settings.undo_seconds)
    state.changes = ModelChanges(database)
    state.settling = Settling(database, sampling, state.traces)
    state.photos = Photos(settings.s3_endpoint, settings.photo_buckets)
    state.faceserve = faceserve_of(settings)
    open_.callback(state.faceserve.close)
    amqp_url = settings.amqp_url.get_secret_value()
    state.background = (
        Relay(state.outbox, amqp_url, settings.exchange, settings.queue, state.traces),
        Listening(state.changes, amqp_url, settings.model_exchange, settings.model_queue),
        state.settling,
    )
    for one in state.background:
        one.start()
        open_.callback(one.stop)


def _sampling(settings: Settings) -> Sampling:
    return Sampling(
        blind_share=settings.blind_audit_share,
        second_opinion_share=settings.second_opinion_share,
        review_share=settings.review_share,
        review_share_of_branch=settings.review_share_of_branch,
        daily_reviews=settings.daily_reviews,
        daily_reviews_of_branch=settings.daily_reviews_of_branch,
        zone=settings.zone,
    )


def _asks(client: FaceserveClient) -> Judge:
    def judge(photo_url: str, task_id: str) -> Verdict:
        try:
            found = client.classify(MODEL, photo_url, task_id=task_id)
        except FaceserveError as error:
            raise refusal("no verdict", error) from None
        # Probabilities are 32-bit: a certain one may be a trifle above 1.
        sure = min(1.0, found.probabilities[found.label])
        return Verdict(found.label, found.model_version, sure, tuple(name for name, _ in found.reasons))

    return judge

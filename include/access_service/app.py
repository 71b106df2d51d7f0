"""The access service's HTTP interface: enrolling, checks, and a person's word on them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, Request, Response
from opentelemetry.trace import SpanKind

from include.access_service.checks import Asked, Check, Checks, NoSuchCheck, Word
from include.access_service.faces import Faces, FaceserveFaces
from include.access_service.settings import Settings
from include.access_service.wire import CheckView, ConfirmRequest, EnrolledView, Enrolment, IdentityInPath, NewCheck
from include.contract.tracing import HEADER, sampled, traces_of
from include.stand_in import refusals
from include.stand_in.confirming import Contradiction
from include.stand_in.database import Database
from include.stand_in.outbox import Outbox
from include.stand_in.relay import Relay
from include.stand_in.serving import state_of
from include.stand_in.wire import IdInPath


def create_app(settings: Settings, faces: Faces | None = None) -> FastAPI:
    """`faces` knows people; by default the model servers do."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as open_:
            _begin(app, settings, faces, open_)
            yield

    app = FastAPI(title="Access service (stand-in)", lifespan=lifespan)
    refusals.add_to(app, {NoSuchCheck: 404})

    @app.get("/health", responses={503: {"description": "A part of it has ended"}})
    def health(response: Response) -> dict[str, str]:
        return {"status": state_of(app.state.background, response)}

    @app.put("/access/people/{identity}", responses=refusals.told(400, 403, 404, 422, 503))
    def enrol(identity: IdentityInPath, request: Enrolment) -> EnrolledView:
        """Every replica knows this person within a second; another photo replaces the one of before."""
        return EnrolledView(identity=identity, enrolled=app.state.faces.enrol(identity, request.photo_url))

    @app.delete("/access/people/{identity}", responses=refusals.told(403, 422, 503))
    def withdraw(identity: IdentityInPath) -> EnrolledView:
        """No replica takes anybody for this person any more, and what was asked about them is forgotten here."""
        left = app.state.faces.withdraw(identity)
        app.state.checks.forget(identity)
        return EnrolledView(identity=identity, enrolled=left)

    @app.post("/access/checks", status_code=201, responses=refusals.told(400, 403, 404, 409, 422, 503))
    def check(request: NewCheck) -> CheckView:
        """Is it that person (1:1), or who is it (1:N)? The same check again gives the same answer."""
        asked = Asked(**request.model_dump())
        known = app.state.checks.known(asked)
        return CheckView.of(known or app.state.checks.record(asked, app.state.faces.answer(asked)))

    @app.get("/access/checks/{check_id}", responses=refusals.told(404, 422, 503))
    def read(check_id: IdInPath) -> CheckView:
        return CheckView.of(app.state.checks.get(check_id))

    @app.post("/access/checks/{check_id}/confirm", responses=refusals.told(400, 403, 404, 409, 422, 503))
    def confirm(check_id: IdInPath, request: ConfirmRequest, asked: Request) -> CheckView:
        """A person says whether it was the same person, and who else; while the broker is away the event waits in the
        outbox.
        """
        with app.state.traces.span("confirm", sampled(asked.headers.get(HEADER)), kind=SpanKind.SERVER):
            return CheckView.of(_confirmed(app, check_id, Word(**request.model_dump())))

    return app


def _confirmed(app: FastAPI, check_id: str, word: Word) -> Check:
    """Raises `Contradiction` when nobody is enrolled who is said to stand there."""
    check, shown = app.state.checks.get(check_id), word.shown_identity
    if shown not in {None, check.identity, check.shown_identity} and not app.state.faces.knows(shown, check.photo_url):
        raise Contradiction(f"nobody is enrolled as {shown}: leave shownIdentity out for a stranger")
    return app.state.checks.confirm(check_id, word)


def _begin(app: FastAPI, settings: Settings, faces: Faces | None, open_: AsyncExitStack) -> None:
    """Everything that requests use, and the thread beside them; what was begun last ends first."""
    database = Database(settings.dsn.get_secret_value())
    open_.callback(database.close)
    state = app.state
    state.traces = traces_of("access")
    open_.callback(state.traces.flush)
    state.checks = Checks(database)
    state.faces = faces or FaceserveFaces(settings)
    open_.callback(state.faces.close)
    amqp_url = settings.amqp_url.get_secret_value()
    relay = Relay(Outbox(database), amqp_url, settings.exchange, settings.queue, state.traces)
    state.background = (relay,)
    relay.start()
    open_.callback(relay.stop)

"""All that the review page asks for and tells."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from opentelemetry.trace import SpanKind

from include.contract.tracing import HEADER, sampled
from include.helper_service.reviews import Reviewer
from include.helper_service.settings import MODEL
from include.helper_service.wire import (
    LearnedView,
    OfferView,
    ProgressView,
    QueueView,
    ReviewRequest,
    ReviewView,
    ServingView,
)
from include.stand_in.refusals import told
from include.stand_in.wire import Id, IdInPath, Name

router = APIRouter(prefix="/helper", responses=told(422, 503))
# Kept by browsers: a photo never changes, and whoever may not see it later has already seen it.
_PHOTO_HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Who = Annotated[Name, Query(alias="reviewerId")]
Where = Annotated[Name | None, Query(alias="branchId")]


@router.get("/reviews/queue")
def queue(
    request: Request,
    reviewer_id: Who,
    branch_id: Where = None,
    limit: Annotated[int, Query(ge=0, le=20)] = 3,
    besides: Annotated[list[Id], Query(max_length=500)] = [],  # noqa: B006
) -> QueueView:
    """The next photos for this person, and how the day goes; `besides` are tasks that the page has already."""
    state, who = request.app.state, Reviewer(reviewer_id, branch_id)
    offers = state.reviews.queue(who, limit=limit, besides=besides)
    return QueueView(
        tasks=[OfferView.of(offer) for offer in offers],
        progress=ProgressView.of(state.reviews.progress(who)),
        undo_seconds=state.settings.undo_seconds,
    )


@router.get(
    "/tasks/{task_id}/photo",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}, **told(404)},
)
def photo(request: Request, task_id: IdInPath) -> Response:
    """JPEG, without what the camera wrote into it."""
    state = request.app.state
    return Response(state.photos.jpeg(state.tasks.get(task_id).photo_url), 200, _PHOTO_HEADERS, "image/jpeg")


@router.post("/tasks/{task_id}/reviews", status_code=201, responses=told(400, 403, 404, 409, 429))
def say(request: Request, task_id: IdInPath, review: ReviewRequest) -> ReviewView:
    """One person's word; until `leavesAt` it can be taken back, then its event leaves."""
    state, who = request.app.state, Reviewer(review.reviewer_id, review.branch_id)
    with state.traces.span("review", sampled(request.headers.get(HEADER)), kind=SpanKind.SERVER):
        return ReviewView.of(state.reviews.say(task_id, who, review.said))


@router.delete("/reviews/{review_id}", status_code=204, responses=told(403, 404, 409))
def take_back(request: Request, review_id: Id, reviewer_id: Who) -> None:
    request.app.state.reviews.take_back(review_id, reviewer_id)


@router.get("/reviews/serving")
def serving(request: Request) -> ServingView:
    """Which version the replicas answer with now."""
    return ServingView.of(request.app.state.faceserve.serving(MODEL).values())


@router.get("/reviews/learned")
def learned(request: Request, reviewer_id: Who) -> LearnedView | None:
    """What became of the reviewer's corrections; null while nothing did."""
    found = request.app.state.changes.learned(reviewer_id)
    return LearnedView.of(found) if found else None

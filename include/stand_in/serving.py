"""A stand-in as a process, and what its `/health` says."""

from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI, Response

from include.contract.log_lines import write_lines
from include.stand_in.background import Background
from include.stand_in.settings import StandInSettings


def serve(app: FastAPI, settings: StandInSettings) -> None:
    """Until it is stopped."""
    write_lines(settings.log_format)
    # None: its lines are like all others.
    uvicorn.run(app, host=settings.host, port=settings.port, log_config=None, log_level="warning", access_log=False)


def state_of(background: Sequence[Background], response: Response) -> str:
    """`ok`, or which work beside the requests has ended: then the answer's status is 503."""
    ended = [one.name for one in background if not one.goes_on]
    response.status_code = 503 if ended else 200
    return f"ended: {', '.join(ended)}" if ended else "ok"

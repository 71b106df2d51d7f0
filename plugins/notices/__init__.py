"""Telling people: every model event that matters to them, once, by mail or webhook when a connection says where."""

import logging
import time
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any

from plugins.notices.channels import open_channels
from plugins.outside.pipeline import open_pipeline

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

log = logging.getLogger(__name__)

# A mail server that hangs takes minutes for one notice: the task that tells has other duties, too.
_SECONDS = 60.0


def tell_people() -> None:
    """Never raises when a channel is out of reach, nor goes on for long: the next task that calls this tells what is
    left.

    Without any connection the events are on RabbitMQ all the same, and one warning says so. What is urgent stays untold
    then: `watch` counts it, and it is sent as soon as there is a channel.
    """
    from pipeline.bootstrap import TryAgain

    try:
        _tell_all(open_pipeline(), time.monotonic() + _SECONDS)
    except TryAgain as error:
        log.warning("people are told later: %s", error)


def _tell_all(pipeline: "Pipeline", until: float) -> None:
    """Tells also what comes meanwhile."""
    tried: set[str] = set()
    while _besides(tried, pipeline):
        with pipeline.telling() as mine:
            # Another task tells just now, and looks again when it is done: it tells of these events, too.
            if not mine:
                return
            news = _besides(tried, pipeline)
            _tell(pipeline, news, until)
        tried |= {notice["id"] for notice in news}


def _besides(tried: Set[str], pipeline: "Pipeline") -> Sequence[dict[str, Any]]:
    return [notice for notice in pipeline.untold() if notice["id"] not in tried]


def _tell(pipeline: "Pipeline", notices: Sequence[dict[str, Any]], until: float) -> None:
    channels = open_channels()
    if not channels:
        log.warning("nobody is told of %d events: no connection smtp_default or notices_webhook", len(notices))
    for notice in notices:
        if time.monotonic() > until:
            log.warning("people are told of the rest later: the channels are slow")
            break
        if any([send(notice) for send in channels.values()]) or not (channels or notice["urgent"]):
            pipeline.told([notice["id"]])

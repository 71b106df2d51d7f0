"""Telling people: every model event that matters to them, once, by mail or webhook when a connection says where."""

import logging
import time

from plugins.notices.channels import open_channels
from plugins.outside.pipeline import open_pipeline

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
        pipeline = open_pipeline()
        notices = pipeline.untold()
        if not notices:
            return
        channels = open_channels()
        if not channels:
            log.warning("nobody is told of %d events: no connection smtp_default or notices_webhook", len(notices))
        until = time.monotonic() + _SECONDS
        for notice in notices:
            if time.monotonic() > until:
                log.warning("people are told of the rest later: the channels are slow")
                break
            if any([send(notice) for send in channels.values()]) or not (channels or notice["urgent"]):
                pipeline.told([notice["id"]])
    except TryAgain as error:
        log.warning("people are told later: %s", error)

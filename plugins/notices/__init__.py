"""Telling people: every model event that matters to them, once, by mail or webhook when a connection says where."""

import logging

from plugins.notices.channels import open_channels

log = logging.getLogger(__name__)


def tell_people() -> None:
    """Never raises when a channel is out of reach: the next task that calls this tells what is left.

    Without any connection the events are on RabbitMQ all the same, and one warning says so.
    """
    from pipeline.bootstrap import Pipeline, TryAgain

    pipeline = Pipeline.from_env()
    try:
        notices = pipeline.untold()
        if not notices:
            return
        channels = open_channels()
        if not channels:
            log.warning("nobody is told of %d events: no connection smtp_default or notices_webhook", len(notices))
        told = [n["id"] for n in notices if not channels or any([send(n) for send in channels])]
        pipeline.told(told)
    except TryAgain as error:
        log.warning("people are told later: %s", error)

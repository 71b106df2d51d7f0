"""RabbitMQ with a node, a cookie and accounts of its own."""

import os
from pathlib import Path

from include.contract.work_queues import LONGEST_TASK_SECONDS
from include.stack.accounts import write
from include.stack.layout import Stack
from include.stack.services import Program, Service, executable, port_answers


def rabbitmq(stack: Stack) -> Service:
    home = stack.folder("rabbitmq")

    def prepare() -> None:
        cookie = home / ".erlang.cookie"
        if not cookie.exists() or cookie.read_text() != stack.secrets["erlang_cookie"]:
            cookie.unlink(missing_ok=True)
            cookie.touch(mode=0o600)
            cookie.write_text(stack.secrets["erlang_cookie"])
            cookie.chmod(0o400)
        (home / "enabled_plugins").write_text("[rabbitmq_prometheus].\n")
        write(home / "definitions.json", stack.secrets)
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{stack.port('rabbitmq')}\n"
            f"load_definitions = {home / 'definitions.json'}\n"
            "disk_free_limit.absolute = 200MB\n"
            # Debian's RabbitMQ does not know the argument of queues that says the same.
            f"consumer_timeout = {LONGEST_TASK_SECONDS * 1000}\n"
            f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {stack.port('rabbitmq_metrics')}\n"
            "log.console = true\nlog.console.level = warning\nlog.file = false\n"
        )

    epmd_port = str(stack.port("epmd"))
    variables = {
        "HOME": str(home),
        "ERL_EPMD_PORT": epmd_port,
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": _node(home / "data"),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(stack.port("rabbitmq")),
        "RABBITMQ_DIST_PORT": str(stack.port("rabbitmq_distribution")),
        "RABBITMQ_BASE": str(home),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        # Two schedulers spinning while idle would take the two cores from everyone else.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
    }
    epmd = (executable("epmd", "/usr/lib/erlang/bin"), "-port", epmd_port, "-address", "127.0.0.1")
    server = (executable("rabbitmq-server", "/usr/lib/rabbitmq/bin"),)
    return Service(
        "rabbitmq",
        (
            Program("epmd", epmd, lambda: port_answers(stack.port("epmd"))),
            Program("rabbitmq", server, lambda: _amqp_answers(stack), environment=variables, folder=home),
        ),
        prepare=prepare,
    )


def _node(data: Path) -> str:
    """Its folder of `data` is called as it is, so the name stays when a port moves: with another one it would be empty.

    An earlier release had its port in the name; of several, which that one left where ports moved, the last that ran.
    """
    folders = [path for path in data.glob("retraining*@localhost") if path.is_dir()]
    return max(folders, key=lambda path: path.stat().st_mtime).name if folders else "retraining@localhost"


def _amqp_answers(stack: Stack) -> bool:
    import logging

    import pika

    logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        pika.BlockingConnection(pika.URLParameters(stack.amqp_url)).close()
    except (pika.exceptions.AMQPError, OSError):
        return False
    return True

"""A broker that answers so many questions and then none, but goes on with its heartbeats: as one whose queue lost the
majority of its nodes, or that hangs.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pika import frame, spec

_HEARTBEAT_SECONDS = 0.02
_CAN = {"capabilities": {"publisher_confirms": True, "basic.nack": True, "consumer_cancel_notify": True}}
_BODY = b"a message"
_ANSWERS: dict[type, Any] = {
    spec.Connection.StartOk: lambda m: spec.Connection.Tune(0, 131072, 60),
    spec.Connection.Open: lambda m: spec.Connection.OpenOk(),
    spec.Connection.Close: lambda m: spec.Connection.CloseOk(),
    spec.Channel.Open: lambda m: spec.Channel.OpenOk(),
    spec.Channel.Close: lambda m: spec.Channel.CloseOk(),
    spec.Exchange.Declare: lambda m: spec.Exchange.DeclareOk(),
    spec.Queue.Declare: lambda m: spec.Queue.DeclareOk(m.queue, 1, 0),
    spec.Queue.Bind: lambda m: spec.Queue.BindOk(),
    spec.Confirm.Select: lambda m: spec.Confirm.SelectOk(),
    spec.Basic.Qos: lambda m: spec.Basic.QosOk(),
    spec.Basic.Consume: lambda m: spec.Basic.ConsumeOk(m.consumer_tag),
    spec.Basic.Cancel: lambda m: spec.Basic.CancelOk(m.consumer_tag),
    spec.Basic.Get: lambda m: spec.Basic.GetOk(1, False, "", m.queue, 0),
    spec.Basic.Publish: lambda m: spec.Basic.Ack(1),
}


class SilentBroker:
    """One message waits, for every connection. `asked` are the questions so far, by name; from the one with the number
    `silent_from` on there is no answer.
    """

    def __init__(self, silent_from: int | None) -> None:
        self.asked: list[str] = []
        self.silent_from = silent_from
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._read = False
        self.url = f"amqp://guest:guest@127.0.0.1:{self._listening.getsockname()[1]}/"

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with client, suppress(OSError):
                    self._talk(client)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _talk(self, client: socket.socket) -> None:
        self._read = False
        client.settimeout(_HEARTBEAT_SECONDS)
        buffer = b""
        while True:
            try:
                received = client.recv(65536)
            except TimeoutError:
                if len(self.asked) > 3:
                    client.sendall(frame.Heartbeat().marshal())
                continue
            if not received:
                return
            buffer += received
            taken = 1
            while taken:
                taken, said = frame.decode_frame(buffer)
                buffer = buffer[taken or 0 :]
                for answer in self._answers(said):
                    client.sendall(answer.marshal())

    def _answers(self, said: Any) -> Iterator[Any]:
        method = getattr(said, "method", None)
        if isinstance(said, frame.ProtocolHeader):
            self.asked.append("connection")
            answer = spec.Connection.Start(server_properties=_CAN, locales="en_US")
        elif type(method) in _ANSWERS:
            self.asked.append(method.NAME)
            answer = _ANSWERS[type(method)](method)
        else:
            return
        if self.silent_from is None or len(self.asked) <= self.silent_from:
            yield from self._said(getattr(said, "channel_number", 0), method, answer)

    def _said(self, channel: int, method: Any, answer: Any) -> Iterator[Any]:
        if isinstance(method, spec.Basic.Get) and self._read:
            answer = spec.Basic.GetEmpty()
        yield frame.Method(channel, answer)
        if isinstance(method, spec.Basic.Consume):
            yield frame.Method(channel, spec.Basic.Deliver(method.consumer_tag, 1, False, "", ""))
        if isinstance(method, spec.Basic.Consume) or isinstance(answer, spec.Basic.GetOk):
            self._read = True
            yield frame.Header(channel, len(_BODY), spec.BasicProperties())
            yield frame.Body(channel, _BODY)


@contextmanager
def silent_broker(silent_from: int | None = None) -> Iterator[SilentBroker]:
    broker = SilentBroker(silent_from)
    serving = threading.Thread(target=broker.serve)
    serving.start()
    try:
        yield broker
    finally:
        broker.close()
        serving.join()

"""Who is refused where there is no room, and as what that counts."""

from types import SimpleNamespace

import grpc
import pytest

from faceserve.protocols.access import Door, Guard
from faceserve.protocols.places import Patience, Places, Room
from faceserve.protocols.tokens import Tokens


class Refused(Exception):
    """The call was ended with a status."""


class Context:
    def set_trailing_metadata(self, metadata):
        """Nobody reads it."""

    def abort(self, code, sentence):
        raise Refused(code.name)


@pytest.mark.parametrize(("token", "code", "counted"), [("", "UNAUTHENTICATED", 0), ("t", "RESOURCE_EXHAUSTED", 1)])
def test_on_a_full_replica_only_who_may_ask_counts_as_a_request_that_was_refused(token, code, counted):
    refusals = []
    room = Room(1, crowded=lambda: "full", refused=lambda: refusals.append(1))
    places, guard = Places({"/a/": room}, None, Patience()), Guard({"/a/": Door(Tokens("t"), "requests")})
    details = SimpleNamespace(method="/a/B", invocation_metadata=(("authorization", f"Bearer {token}"),))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    found = guard.intercept_service(lambda asked: places.intercept_service(lambda _: handler, asked), details)
    assert not refusals
    with pytest.raises(Refused, match=code):
        found.stream_unary(iter(()), Context())
    assert len(refusals) == counted

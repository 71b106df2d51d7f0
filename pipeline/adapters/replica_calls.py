"""The same call to several replicas at once, each with its answer or its error."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TypeVar

from include.contract.lifecycle_client import FaceserveError, LifecycleClient

Result = TypeVar("Result")
Call = Callable[[LifecycleClient, str], Result]


def at_once(
    clients: Mapping[str, LifecycleClient], call: "Call[Result]", *, stragglers_seconds: float | None = None
) -> "dict[str, Result | FaceserveError]":
    """Answers by address. `stragglers_seconds` after the first replica has answered, the others are no longer waited
    for; None waits as long as the call itself does.
    """

    def one(address: str) -> "Result | FaceserveError":
        try:
            return call(clients[address], address)
        except FaceserveError as error:
            return error

    with ThreadPoolExecutor(max(1, len(clients))) as pool:
        # In the caller's trace, which a thread does not inherit.
        begun = {address: pool.submit(copy_context().run, one, address) for address in clients}
        late = {} if stragglers_seconds is None else _stragglers(begun, stragglers_seconds)
        for address in late:
            # This ends the call here and, since nobody waits for it, on the replica, too.
            clients[address].close()
        found = {address: answer.result() for address, answer in begun.items()}
    return {address: late.get(address, one) if failed(one) else one for address, one in found.items()}


def errors(results: "Mapping[str, Result | FaceserveError]") -> list[FaceserveError]:
    return [result for result in results.values() if isinstance(result, FaceserveError)]


def failed(result: object) -> bool:
    return isinstance(result, FaceserveError)


def _stragglers(begun: "Mapping[str, Future[Result | FaceserveError]]", seconds: float) -> dict[str, FaceserveError]:
    """Replicas that are not done `seconds` after the first one, each with a sentence about it."""
    waiting, did_it = set(begun.values()), False
    while waiting and not did_it:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        did_it = any(not failed(one.result()) for one in done)
    late = wait(waiting, timeout=seconds).not_done
    said = f"not done {seconds:g} s after another replica"
    return {a: FaceserveError(a, "DEADLINE_EXCEEDED", said) for a, one in begun.items() if one in late}

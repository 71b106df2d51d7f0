"""Every faceserve replica at once: two-phase swap over gRPC (design D6)."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from include.contract.lifecycle_client import ActivatedModel, FaceserveError, LifecycleClient, PreparedModel
from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.rollout import CanarySeen
from pipeline.ports.deployment import Serving, Swap

_STATUS_SECONDS = 5.0
_Result = TypeVar("_Result")


class GrpcServingFleet:
    def __init__(
        self, addresses: Sequence[str], *, token: str, prepare_timeout_seconds: float, activate_timeout_seconds: float
    ) -> None:
        self._addresses = tuple(addresses)
        self._token = token
        self._prepare_seconds = prepare_timeout_seconds
        self._activate_seconds = activate_timeout_seconds

    def swap(self, model_type: ModelType, version: str, artifact: Artifact) -> Swap:
        model = model_type.lower()
        before = self.serving(model_type)
        started = time.monotonic()

        def prepare(client: LifecycleClient, address: str) -> PreparedModel:
            return client.prepare(
                model, version, artifact.uri, artifact.manifest_sha256, timeout_seconds=self._prepare_seconds
            )

        prepared = self._one_first(prepare)
        if failed := _errors(prepared):
            self._everywhere(lambda client, _: client.discard(model, version))
            raise _translated(failed, f"{version} was not activated anywhere")
        ready = time.monotonic()
        epochs = {a: p.epoch for a, p in prepared.items() if isinstance(p, PreparedModel)}
        activated = self._everywhere(
            lambda client, address: client.activate(
                model, version, epochs[address], timeout_seconds=self._activate_seconds
            )
        )
        if failed := _errors(activated):
            self._bring_back(model, version, before)
            raise _translated(failed, f"{version} could not be activated everywhere; the replicas were brought back")
        done = time.monotonic()
        milliseconds = [a.swap_milliseconds for a in activated.values() if isinstance(a, ActivatedModel)]
        return Swap(tuple(self.serving(model_type)), max(milliseconds), ready - started, done - ready)

    def serving(self, model_type: ModelType) -> Sequence[Serving]:
        def status(client: LifecycleClient, address: str) -> Serving:
            found = client.status(model_type.lower(), timeout_seconds=_STATUS_SECONDS)
            return Serving(address, found.version, found.previous, found.epoch)

        found = self._everywhere(status)
        if failed := _errors(found):
            raise _translated(failed, "the fleet is not complete")
        return [serving for serving in found.values() if isinstance(serving, Serving)]

    def start_canary(self, model_type: ModelType, version: str, artifact: Artifact, percent: float) -> None:
        model = model_type.lower()

        def prepare(client: LifecycleClient, address: str) -> PreparedModel:
            return client.prepare(
                model, version, artifact.uri, artifact.manifest_sha256, timeout_seconds=self._prepare_seconds
            )

        failed = _errors(self._one_first(prepare))
        if not failed:
            failed = _errors(self._everywhere(lambda client, _: client.set_canary(model, version, percent)))
        if failed:
            self._everywhere(lambda client, _: client.abort_canary(model, version, "not every replica could try it"))
            self._everywhere(lambda client, _: client.discard(model, version))
            raise _translated(failed, f"{version} is on trial nowhere")

    def canaries(self, model_type: ModelType) -> Sequence[CanarySeen]:
        def look(client: LifecycleClient, address: str) -> CanarySeen:
            found = client.status(model_type.lower(), timeout_seconds=_STATUS_SECONDS).canary
            if found is None:
                return CanarySeen(address, None, "", "", 0, 0)
            side = found.canary
            return CanarySeen(address, found.version, found.verdict, found.reason, side.requests, side.errors)

        found = self._everywhere(look)
        if failed := _errors(found):
            raise _translated(failed, "the fleet is not complete")
        return [seen for seen in found.values() if isinstance(seen, CanarySeen)]

    def abort_canary(self, model_type: ModelType, version: str, reason: str) -> None:
        model = model_type.lower()
        if failed := _errors(self._everywhere(lambda client, _: client.abort_canary(model, version, reason))):
            raise _translated(failed, f"{version} may still be on trial there")

    def _bring_back(self, model: str, version: str, before: Sequence[Serving]) -> None:
        """Best effort: a replica that is gone comes back with what its state file says, and reconcile decides."""
        earlier = {serving.replica: serving.version for serving in before}

        def back(client: LifecycleClient, address: str) -> None:
            previous = earlier[address]
            if previous is not None and client.status(model).version == version != previous:
                client.activate(model, previous, -1, timeout_seconds=self._activate_seconds)

        self._everywhere(back)

    def _one_first(self, call: Callable[[LifecycleClient, str], _Result]) -> "dict[str, _Result | FaceserveError]":
        """One replica first, the others at once after it: what it refuses burdens no other."""
        first, *others = self._addresses
        results = self._on([first], call)
        if others and not _errors(results):
            results |= self._on(others, call)
        return results

    def _everywhere(self, call: Callable[[LifecycleClient, str], _Result]) -> "dict[str, _Result | FaceserveError]":
        return self._on(self._addresses, call)

    def _on(
        self, addresses: Sequence[str], call: Callable[[LifecycleClient, str], _Result]
    ) -> "dict[str, _Result | FaceserveError]":
        """The call's result or error for each of the replicas, all at once."""

        def one(address: str) -> "_Result | FaceserveError":
            with LifecycleClient(address, token=self._token) as client:
                try:
                    return call(client, address)
                except FaceserveError as error:
                    return error

        with ThreadPoolExecutor(len(addresses)) as pool:
            return dict(zip(addresses, pool.map(one, addresses), strict=True))


def _errors(results: dict[str, "_Result | FaceserveError"]) -> list[FaceserveError]:
    return [result for result in results.values() if isinstance(result, FaceserveError)]


def _translated(errors: Sequence[FaceserveError], consequence: str) -> Exception:
    """A refusal outweighs an unreachable replica: trying again would not help."""
    text = f"{'; '.join(str(error) for error in errors)} ({consequence})"
    if all(error.may_pass or error.code == "ABORTED" for error in errors):
        return ServiceUnavailable("faceserve", text)
    return ModelRefused(text)

"""Every faceserve replica at once, over gRPC: two-phase swap, canary, bringing a version back (design D6, D19)."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from include.contract.lifecycle_client import ClientTls, FaceserveError, LifecycleClient, PreparedModel, Status
from include.contract.tracing import OFF, Traces
from pipeline.adapters.replica_addresses import Resolve, expanded, resolved
from pipeline.adapters.replica_calls import Call, Result, at_once, errors
from pipeline.domain.errors import GiveUp, ModelRefused, ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.rollout import CanarySeen, replaced_by, unasked
from pipeline.domain.serving import Serving
from pipeline.ports.deployment import Prepared, Swap

_STATUS_SECONDS = 5.0


@dataclass(frozen=True)
class Replicas:
    """Lifecycle addresses (`host:port`) with their bearer token and certificates, and deadlines of one call.

    Once a rollback has reached one replica, the others have `straggler_seconds` left: the next emergency waits for it.
    A person has taken those in `out_of_rotation` out. An address `dns:///name:port` stands for all addresses of that
    name.
    """

    addresses: Sequence[str]
    token: str
    prepare_timeout_seconds: float = 60.0
    activate_timeout_seconds: float = 5.0
    straggler_seconds: float = 20.0
    out_of_rotation: Collection[str] = ()
    tls: ClientTls | None = None
    resolve: Resolve = resolved


def client_tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ClientTls | None:
    """PEM files; without an authority there is no TLS. Raises `GiveUp` for half of what is needed."""
    try:
        return ClientTls.of(ca, certificate, key)
    except ValueError:
        raise GiveUp(
            "RETRAIN_FACESERVE_TLS_CERTIFICATE needs RETRAIN_FACESERVE_TLS_KEY and RETRAIN_FACESERVE_TLS_CA"
        ) from None


class GrpcServingFleet:
    def __init__(self, replicas: Replicas, traces: Traces = OFF) -> None:
        self._replicas = replicas
        self._traces = traces

    def skipped(self) -> Sequence[str]:
        r = self._replicas
        known = expanded(r.addresses, (), r.resolve)
        return tuple(address for address in known if address in r.out_of_rotation)

    def serving(self, model_type: ModelType) -> Sequence[Serving]:
        def status(client: LifecycleClient, address: str) -> Serving:
            found = client.status(model_type.lower(), timeout_seconds=_STATUS_SECONDS)
            return Serving(address, found.version, found.previous, found.epoch)

        found = self._everywhere(status)
        return [
            Serving(address, None, fault=_why(one)) if isinstance(one, FaceserveError) else one
            for address, one in found.items()
        ]

    # Two phases

    def prepare(self, model_type: ModelType, version: str, artifact: Artifact) -> Prepared:
        started = time.monotonic()
        prepared = self._one_first(self._preparing(model_type, version, artifact))
        if (failed := errors(prepared)) or not prepared:
            self.discard(model_type, version)
            raise _translated(failed, f"{version} was not activated anywhere")
        epochs = {address: one.epoch for address, one in prepared.items() if isinstance(one, PreparedModel)}
        return Prepared(version, epochs, time.monotonic() - started)

    def activate(self, model_type: ModelType, prepared: Prepared) -> Swap:
        model, version, started = model_type.lower(), prepared.version, time.monotonic()
        before = self.serving(model_type)
        # A replica that joined meanwhile asks the registry which version to serve, and reconcile checks it.
        addresses = self._of(prepared.epochs)

        def activate(client: LifecycleClient, address: str) -> float:
            epoch = prepared.epochs[address]
            done = client.activate(model, version, epoch, timeout_seconds=self._replicas.activate_timeout_seconds)
            _alone(client, model, version)
            return done.swap_milliseconds

        activated = self._on(addresses, activate)
        if (failed := errors(activated)) or not activated:
            self._restore(model, version, before)
            raise _translated(failed, f"{version} could not be activated everywhere")
        return _swap(activated, prepared.seconds + time.monotonic() - started)

    def discard(self, model_type: ModelType, version: str) -> None:
        self._everywhere(lambda client, _: client.discard(model_type.lower(), version))

    def _restore(self, model: str, version: str, before: Sequence[Serving]) -> None:
        """Restores the replicas that answer: one that is gone asks the registry when it returns, and
        reconcile decides.
        """
        earlier = {serving.replica: serving.version for serving in before}

        def back(client: LifecycleClient, address: str) -> None:
            previous = earlier.get(address)
            if previous is not None and client.status(model).version == version != previous:
                client.activate(model, previous, timeout_seconds=self._replicas.activate_timeout_seconds)

        self._everywhere(back)

    # Each on its own

    def bring_back(self, model_type: ModelType, version: str, artifact: Artifact) -> Swap:
        model, started = model_type.lower(), time.monotonic()
        prepare = self._preparing(model_type, version, artifact, urgent=True)

        def back(client: LifecycleClient, address: str) -> float:
            # A dead or hung replica is noticed here, before the much longer deadline for loading.
            client.status(model, timeout_seconds=_STATUS_SECONDS)
            return self._exchange(client, model, version, prepare(client, address).epoch)

        found = self._on(self._of(None), back, stragglers_seconds=self._replicas.straggler_seconds)
        return _back(version, found, started)

    def warm(
        self, model_type: ModelType, version: str, artifact: Artifact, replicas: Collection[str]
    ) -> Collection[str]:
        found = self._on(self._of(replicas), self._preparing(model_type, version, artifact))
        return [address for address, one in found.items() if isinstance(one, PreparedModel)]

    def put_back(self, model_type: ModelType, version: str, replicas: Collection[str]) -> Swap:
        model, started = model_type.lower(), time.monotonic()

        def back(client: LifecycleClient, _: str) -> float:
            epoch = client.status(model, timeout_seconds=_STATUS_SECONDS).epoch
            return self._exchange(client, model, version, epoch)

        return _back(version, self._on(self._of(replicas), back), started)

    def _exchange(self, client: LifecycleClient, model: str, version: str, epoch: int) -> float:
        """Makes the loaded version serve alone; returns how many milliseconds that took."""
        done = client.activate(model, version, epoch, timeout_seconds=self._replicas.activate_timeout_seconds)
        found = _alone(client, model, version)
        if found.version != version:
            raise FaceserveError(found.replica, "ABORTED", f"serves {found.version} after {version} was activated")
        return done.swap_milliseconds

    # Canary

    def give_canary(
        self, model_type: ModelType, version: str, percent: float, replicas: Collection[str] | None = None
    ) -> None:
        given = self._on(self._of(replicas), lambda client, _: client.set_canary(model_type.lower(), version, percent))
        if failed := errors(given):
            raise _translated(failed, f"not every replica could try {version}")

    def canaries(self, model_type: ModelType) -> Sequence[CanarySeen]:
        def look(client: LifecycleClient, address: str) -> CanarySeen:
            return _seen(address, client.status(model_type.lower(), timeout_seconds=_STATUS_SECONDS))

        return [
            unasked(address, _why(one)) if isinstance(one, FaceserveError) else one
            for address, one in self._everywhere(look).items()
        ]

    def abort_canary(self, model_type: ModelType, version: str, reason: str) -> None:
        model = model_type.lower()
        if failed := errors(self._everywhere(lambda client, _: client.abort_canary(model, version, reason))):
            raise _translated(failed, f"{version} may still be on trial there")

    def withdraw(self, model_type: ModelType, identity: str) -> None:
        failed: list[FaceserveError] = []
        for address in self._of(None):
            (answer,) = self._on([address], lambda client, _: client.withdraw(model_type.lower(), identity)).values()
            if not isinstance(answer, FaceserveError):
                # All replicas share the gallery: one is enough.
                return
            failed.append(answer)
        raise _translated(failed, "the person may still be recognised")

    # Inside

    def _preparing(
        self, model_type: ModelType, version: str, artifact: Artifact, *, urgent: bool = False
    ) -> "Call[PreparedModel]":
        """A rollback is `urgent`: it does not queue behind loads of others."""
        seconds = self._replicas.prepare_timeout_seconds

        def prepare(client: LifecycleClient, address: str) -> PreparedModel:
            uri, sha256 = artifact.uri, artifact.manifest_sha256
            return client.prepare(model_type.lower(), version, uri, sha256, timeout_seconds=seconds, urgent=urgent)

        return prepare

    def _one_first(self, call: "Call[Result]") -> "dict[str, Result | FaceserveError]":
        """One replica first, then all others at once: a model that the first refuses does not trouble the others."""
        addresses = self._of(None)
        results = self._on(addresses[:1], call)
        return results if errors(results) else results | self._on(addresses[1:], call)

    def _of(self, replicas: Collection[str] | None) -> Sequence[str]:
        """Those of `replicas` that are in rotation now; None: all."""
        return [address for address in self._names() if replicas is None or address in replicas]

    def _names(self) -> dict[str, str]:
        r = self._replicas
        return expanded(r.addresses, r.out_of_rotation, r.resolve)

    def _everywhere(self, call: "Call[Result]") -> "dict[str, Result | FaceserveError]":
        return self._on(self._of(None), call)

    def _on(
        self, addresses: Sequence[str], call: "Call[Result]", *, stragglers_seconds: float | None = None
    ) -> "dict[str, Result | FaceserveError]":
        """Calls the replicas; see `at_once`."""
        with ExitStack() as stack:
            clients = {address: stack.enter_context(client) for address, client in self._clients(addresses)}
            return at_once(clients, call, stragglers_seconds=stragglers_seconds)

    def _clients(self, addresses: Sequence[str]) -> Iterator[tuple[str, LifecycleClient]]:
        tls = self._replicas.tls
        names = self._names() if tls else {}
        for address in addresses:
            named = replace(tls, server_name=names.get(address, "")) if tls else None
            yield address, LifecycleClient(address, token=self._replicas.token, tls=named, traces=self._traces)


def _back(version: str, found: "Mapping[str, float | FaceserveError]", started: float) -> Swap:
    failed = errors(found)
    if len(failed) == len(found):
        raise _translated(failed, f"no replica could be brought back to {version}")
    return _swap(found, time.monotonic() - started)


def _alone(client: LifecycleClient, model: str, version: str) -> Status:
    """What the replica serves; a trial beside `version` is ended. Only an exchange of models ends a trial by itself,
    and a replica that already served `version` exchanges nothing.
    """
    found = client.status(model, timeout_seconds=_STATUS_SECONDS)
    seen = _seen("", found)
    if seen.running and seen.version is not None:
        client.abort_canary(model, seen.version, replaced_by(version))
    return found


def _seen(address: str, status: Status) -> CanarySeen:
    found = status.canary
    if found is None:
        return CanarySeen(address, None, "", "", 0, 0)
    side = found.canary
    return CanarySeen(address, found.version, found.verdict, found.reason, side.requests, side.errors)


def _swap(found: "Mapping[str, float | FaceserveError]", seconds: float) -> Swap:
    exchanged = {address: one for address, one in found.items() if not isinstance(one, FaceserveError)}
    missing = {address: _why(one) for address, one in found.items() if isinstance(one, FaceserveError)}
    return Swap(tuple(exchanged), max(exchanged.values(), default=0.0), seconds, missing)


def _why(error: FaceserveError) -> str:
    return f"does not answer ({error.code})" if error.may_pass else f"refuses ({error.code}: {error.detail})"


def _translated(failed: Sequence[FaceserveError], consequence: str) -> Exception:
    """A refusal outweighs an unreachable replica: trying again would not help."""
    if not failed:
        return ServiceUnavailable("faceserve", f"no replica is in rotation ({consequence})")
    text = f"{'; '.join(str(error) for error in failed)} ({consequence})"
    if all(error.may_pass or error.code == "ABORTED" for error in failed):
        return ServiceUnavailable("faceserve", text)
    return ModelRefused(text)

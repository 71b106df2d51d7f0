"""Failure at the n-th call to any port, before or after the call took effect."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from pipeline.domain.errors import ServiceUnavailable

T = TypeVar("T")


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


@dataclass
class Fault:
    """Strikes at call number `at` (from 1) of all wrapped ports together; `after` means the call took effect.

    `error` builds what is raised; `calls` counts, so that a run without a strike tells how many calls there are.
    With `meanwhile` nothing is raised: it runs before the call. `lasting`: from then on that service is away, for
    whoever tries to put in order what the first failure left, too. What is `down` is so before the act and after it.
    """

    at: int = 0
    after: bool = False
    error: Callable[[], BaseException] = Killed
    calls: int = 0
    meanwhile: Callable[[], object] | None = None
    lasting: bool = False
    away: set[str] = field(default_factory=set)
    down: Collection[str] = ()

    def on(self, port: T) -> T:
        return _Wrapped(port, self)  # type: ignore[return-value]

    def on_ports(self, bundle: T, *, but: tuple[str, ...] = ()) -> T:
        """The bundle with every port wrapped but those named; values that settings choose stay as they are."""
        ports = {f.name: getattr(bundle, f.name) for f in fields(bundle)}  # type: ignore[arg-type]
        wrapped = {n: self.on(port) for n, port in ports.items() if n not in but and _is_port(port)}
        return replace(bundle, **wrapped)  # type: ignore[type-var]


@dataclass(frozen=True)
class Both:
    """One fault, and at the same or a later call the other one."""

    first: Fault
    second: Fault

    def on(self, port: T) -> T:
        return self.first.on(self.second.on(port))

    def on_ports(self, bundle: T, *, but: tuple[str, ...] = ()) -> T:
        return self.first.on_ports(self.second.on_ports(bundle, but=but), but=but)


def _is_port(value: Any) -> bool:
    """Whether it does something: values come from the domain or are built in, ports are fakes or adapters."""
    return not type(value).__module__.startswith(("builtins", "pipeline.domain"))


SERVICES = ("the database", "Fleet", "Registry", "Objects", "Archive")


def _service(port: Any) -> str:
    """What goes down at once: all tables, or all replicas."""
    name = type(port).__name__
    return next((one for one in SERVICES if one in name), SERVICES[0])


class _Wrapped:
    def __init__(self, port: Any, fault: Fault) -> None:
        self._port = port
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        return self._watched(value) if callable(value) else value

    def _watched(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            fault = self._fault
            fault.calls += 1
            strikes, service = fault.calls == fault.at, _service(self._port)
            if service in fault.down:
                raise ServiceUnavailable(service, "connection refused")
            if service in fault.away:
                raise fault.error()
            if strikes and fault.lasting:
                fault.away.add(service)
            if strikes and fault.meanwhile is not None:
                fault.meanwhile()
                strikes = False
            if strikes and not fault.after:
                raise fault.error()
            try:
                return method(*values, **named)
            finally:
                if strikes:
                    raise fault.error()

        return call


def unavailable(name: str = "a service") -> Callable[[], BaseException]:
    return lambda: ServiceUnavailable(name, "connection refused")


def every_fault(run: Callable[[Fault], object], *, error: Callable[[], BaseException] = Killed) -> list[Fault]:
    """One fault for each port call that `run` makes, before and after its effect."""
    counted = Fault()
    run(counted)
    assert counted.calls > 0
    return [Fault(at, after, error) for at in range(1, counted.calls + 1) for after in (False, True)]

"""Two acts at once, of which one runs at a time: whoever would wait for a lock lets the other go on."""

import threading
from collections.abc import Callable

_ENDLESS = 20


class Deadlock(AssertionError):
    """Each waits for what the other holds."""


class Turns:
    """`other` runs when `begin` is called, as far as it comes; `finish` lets it run to its end.

    `wait` belongs into the locks that both take.
    """

    def __init__(self, other: Callable[[], object]) -> None:
        self._other = threading.Thread(target=self._run, args=(other,), daemon=True)
        self._first_goes_on, self._other_goes_on = threading.Semaphore(0), threading.Semaphore(0)
        self._waits = 0
        self.waited_for: list[str] = []
        self.error: BaseException | None = None

    def begin(self) -> None:
        self._other.start()
        self._first_goes_on.acquire()

    @property
    def began(self) -> bool:
        return self._other.ident is not None

    def wait(self, name: str) -> None:
        self._waits += 1
        if threading.current_thread() is self._other:
            self.waited_for.append(name)
            self._first_goes_on.release()
            self._other_goes_on.acquire()
        elif self._waits > _ENDLESS or not self._other.is_alive():
            raise Deadlock(name)
        else:
            self._other_goes_on.release()
            self._first_goes_on.acquire()

    def finish(self) -> None:
        """Raises what the other act was not meant to raise."""
        if self.began:
            self._other_goes_on.release()
            self._other.join(60)
            assert not self._other.is_alive(), f"it waits for ever for {self.waited_for}"
        if self.error is not None:
            raise self.error

    def _run(self, other: Callable[[], object]) -> None:
        try:
            other()
        except BaseException as error:  # noqa: BLE001 - it is raised by `finish`, in the test's own thread
            self.error = error
        finally:
            self._first_goes_on.release()

"""What does not work just now."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.troubles import Place, Trouble


class Troubles(Protocol):
    """At most one open trouble a place. All raise `ServiceUnavailable`."""

    def open(self) -> Sequence[Trouble]:
        """What goes on, oldest first."""

    def at(self, place: Place) -> Trouble | None:
        """What goes on there."""

    def keep(self, trouble: Trouble, event: OutgoingEvent | None) -> None:
        """The trouble as it is by now, with its event if there is news, in one transaction.

        Nothing is kept when it has ended already, or another one began there meanwhile.
        """

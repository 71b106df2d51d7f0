"""The status of a replica and of a trial, as messages."""

import resource
from dataclasses import dataclass

from faceserve.inference.batching import Batcher
from faceserve.machine.memory import resident_bytes
from faceserve.rollout.canary import Counts
from faceserve.rollout.snapshot import Canary, Snapshot
from include.contract import faceserve_pb2 as pb


@dataclass(frozen=True)
class ReplicaStatus:
    """`engine` and `replica` are names."""

    batcher: Batcher
    engine: str
    replica: str

    def of(self, snapshot: Snapshot) -> pb.GetStatusResponse:
        return pb.GetStatusResponse(
            replica=self.replica,
            version=snapshot.active.version if snapshot.active else "",
            previous_version=snapshot.previous.version if snapshot.previous else "",
            epoch=snapshot.epoch,
            prepared=sorted(one.version for one in snapshot.prepared),
            requests_in_flight=snapshot.active.held if snapshot.active else 0,
            requests_waiting=self.batcher.waiting,
            memory_bytes=resident_bytes(),
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            canary=trial_status(snapshot),
            engine=self.engine,
            precision=snapshot.active.precision if snapshot.active else "",
        )


def trial_status(snapshot: Snapshot) -> pb.CanaryStatus | None:
    """The running trial, or how the last one ended; of one that was lost once nothing, so that it is given again."""
    if snapshot.canary:
        return _running(snapshot.canary)
    if (ended := snapshot.concluded) and ended.outcome != "lost":
        return pb.CanaryStatus(version=ended.version, verdict=ended.outcome, reason=ended.reason)
    return None


def _running(canary: Canary) -> pb.CanaryStatus:
    opinion = canary.trial.opinion()
    compared, agreed = canary.trial.agreement
    return pb.CanaryStatus(
        version=canary.version,
        percent=canary.share.percent,
        shadow=canary.shadow,
        verdict=opinion.verdict,
        reason=opinion.reason,
        stable=_side(canary.trial.counts("stable")),
        canary=_side(canary.trial.counts("canary")),
        compared=compared,
        agreed=agreed,
    )


def _side(counts: Counts) -> pb.SideStatus:
    return pb.SideStatus(requests=counts.requests, errors=counts.errors, mean_seconds=counts.mean_seconds)

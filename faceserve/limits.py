"""What the settings say about versions in memory and about trials, as the parts that keep to it take it."""

from faceserve.rollout.canary import Limits
from faceserve.rollout.rules import Keeping, Rules
from faceserve.settings import Settings


def rules(s: Settings) -> Rules:
    limits = Limits(
        error_rate=s.canary_error_rate, errors_in_a_row=s.canary_errors_in_a_row, latency_ratio=s.canary_latency_ratio
    )
    return Rules(Keeping(s.drain_seconds, s.calm_ms / 1000, s.warm_memory_mb << 20), limits)

"""How many images go into one engine call, and the answers of several calls as one."""

from collections.abc import Sequence

import numpy as np

from faceserve.engines.base import Output


def batch_sizes(most: int) -> list[int]:
    """Powers of two up to `most`: engines prepare each size once, so there should be few."""
    return [1 << n for n in range(most.bit_length())]


def power_of_two(number: int) -> int:
    """The largest one up to `number`."""
    return 1 << (number.bit_length() - 1) if number else 0


def joined(outputs: Sequence[Output]) -> Output:
    if len(outputs) == 1:
        return outputs[0]
    return Output(
        np.concatenate([output.probabilities for output in outputs]),
        np.concatenate([output.features for output in outputs]),
    )

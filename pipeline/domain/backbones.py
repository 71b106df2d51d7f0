"""The frozen networks a model may be trained on; how each is built stands in `pipeline.learning.backbones`."""

BACKBONES = ("EfficientNetLite0", "ResNet50")
"""Smallest and fastest first: a model that is too slow is tried again on the one before."""


def smaller_than(backbone: str) -> str | None:
    """The next smaller backbone; None for the smallest, and for one that is no longer offered."""
    place = BACKBONES.index(backbone) if backbone in BACKBONES else 0
    return BACKBONES[place - 1] if place else None

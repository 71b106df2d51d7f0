"""The frozen networks a model may be trained on; how each is built stands in `pipeline.learning.backbones`."""

from collections.abc import Collection

BACKBONES = ("EfficientNetLite0", "ResNet50")
"""Smallest and fastest first: a model that is too slow is tried again on the one before."""


def smaller_than(backbone: str) -> str | None:
    """The next smaller backbone; None for the smallest, and for one that is offered no more."""
    place = BACKBONES.index(backbone) if backbone in BACKBONES else 0
    return BACKBONES[place - 1] if place else None


def demand_known(backbone: str, known: Collection[str] = BACKBONES) -> str:
    """The backbone. Raises `ValueError` with the names there are."""
    if backbone not in known:
        raise ValueError(f"unknown backbone {backbone[:40]!r}: choose one of {', '.join(known)}")
    return backbone

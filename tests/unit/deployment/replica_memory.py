"""What a replica may take before it refuses anything, by its variables: the container's limit lies above that."""

from collections.abc import Mapping

from faceserve.settings import Settings
from include.contract.decoding_memory import BYTES_A_PIXEL, MAX_DECODING_BYTES


def most_megabytes(variables: Mapping[str, str | None]) -> float:
    guards = {
        name: float(variables[f"FACESERVE_{name}_MB"] or 0) for name in ("WARM_MEMORY", "VET_MEMORY", "MAX_QUEUED")
    }
    # Over HTTP as much again may be on its way in as is queued.
    arriving = guards["MAX_QUEUED"] if variables.get("FACESERVE_HTTP_PORT") else 0.0
    # As many as may be decoded at once, or one that is so large that it is decoded alone.
    photos = max(BYTES_A_PIXEL * Settings.model_fields["decoded_megapixels"].default, MAX_DECODING_BYTES / 1e6)
    return sum(guards.values()) + arriving + photos

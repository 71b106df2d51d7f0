"""The image of the training pod: by digest, because a tag may mean other code tomorrow."""

import os
import re

from airflow.sdk.exceptions import AirflowFailException

# Where no registry is, a tag may be the digest: include/k8s/try.sh makes one.
_BY_DIGEST = re.compile(r"(@sha256:|:sha256-)[0-9a-f]{64}$")


def training_image() -> str:
    """What the setting says, good or not: a DAG that does not load says less than a task that fails."""
    return os.environ.get("RETRAIN_TRAINING_IMAGE", "")


def demand_by_digest(image: str) -> None:
    """The second pod of a training would refuse the checkpoint of a first one with other code."""
    if not _BY_DIGEST.search(image):
        raise AirflowFailException(
            "RETRAIN_TRAINING_RUNTIME=kubernetes needs RETRAIN_TRAINING_IMAGE, the image to train in, by digest: "
            f"repository@sha256:…, not {image[:100]!r}"
        )

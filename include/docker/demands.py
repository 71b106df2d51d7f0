"""What has to be so before a part of Airflow starts or anything is changed; a sentence for what is not."""

import os
import re

from pipeline.bootstrap import GiveUp
from pipeline.bootstrap.settings_at_start import demand_settings

_FERNET = "AIRFLOW__CORE__FERNET_KEY"


def demand_start() -> None:
    """Raises `GiveUp`: a setting that is refused, or a Fernet key that is none."""
    demand_settings()
    # Airflow itself would say so when the first connection is read, days later. Several while one replaces another.
    keys = os.environ.get(_FERNET)
    if keys is not None and not all(re.fullmatch(r"[A-Za-z0-9_-]{43}=", key.strip()) for key in keys.split(",")):
        raise GiveUp(
            f"{_FERNET} is no Fernet key, which is 32 bytes as URL-safe base64, 44 characters: .env.example makes one"
        )

"""Model files in S3's Glacier storage class: read back and compared before they are handed over."""

import hashlib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.adapters.s3 import ARCHIVED, MISSING, OF_THE_MACHINE, Keys, client, code, split, unavailable
from pipeline.domain.errors import ArchiveDamaged, ServiceUnavailable, StillFrozen

_STORAGE_CLASS = "GLACIER"
# Whoever runs the command again "in some hours", or after a weekend, must still find the thawed copy.
_DAYS_THAWED = 7


class GlacierArchive:
    def __init__(self, *, endpoint: str | None, keys: Keys = OF_THE_MACHINE) -> None:
        self._endpoint = endpoint
        self._keys = keys
        self._made: Any = None

    def keep(self, uri: str, body: bytes) -> None:
        bucket, key = split(uri)
        try:
            # Written as a standard object first: what is in Glacier cannot be read back for hours.
            self._s3.put_object(Bucket=bucket, Key=key, Body=body)
            copy = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            if hashlib.sha256(copy).digest() != hashlib.sha256(body).digest():
                raise ServiceUnavailable("S3", f"{uri} does not read back as it was written")
            source = {"Bucket": bucket, "Key": key}
            self._s3.copy_object(Bucket=bucket, Key=key, CopySource=source, StorageClass=_STORAGE_CLASS)
            found = self._s3.head_object(Bucket=bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise unavailable(error) from error
        if found["ContentLength"] != len(body) or found.get("StorageClass") != _STORAGE_CLASS:
            raise ServiceUnavailable("S3", f"{uri} did not reach Glacier complete")

    def fetch(self, uri: str) -> bytes:
        bucket, key = split(uri)
        try:
            return bytes(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if code(error) in MISSING:
                raise ArchiveDamaged(f"the archive has no {uri}") from None
            if code(error) != ARCHIVED:
                raise unavailable(error) from error
            self._thaw(bucket, key)
        except BotoCoreError as error:
            raise unavailable(error) from error
        raise StillFrozen(f"Glacier is thawing {uri}, which takes hours: run the same command later")

    def _thaw(self, bucket: str, key: str) -> None:
        request = {"Days": _DAYS_THAWED, "GlacierJobParameters": {"Tier": "Standard"}}
        try:
            self._s3.restore_object(Bucket=bucket, Key=key, RestoreRequest=request)
        except ClientError as error:
            if code(error) != "RestoreAlreadyInProgress":
                raise unavailable(error) from error
        except BotoCoreError as error:
            raise unavailable(error) from error

    @property
    def _s3(self) -> Any:
        if self._made is None:
            self._made = client(self._endpoint, self._keys)
        return self._made

"""A task's photo, as models get it, and as a browser may: encoded anew without anything but pixels."""

import io
from collections.abc import Collection

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from include.contract.photo import MAX_PHOTO_BYTES, BadPhotoAddress, PhotoAddress
from include.contract.preprocessing import UnreadablePhoto, decode
from include.contract.s3_errors import read_as_errors, without_key

_LONGEST_SIDE_PIXELS = 1600
_QUALITY = 90
_MISSING = {"NoSuchKey", "NoSuchBucket", "404"}


class NoPhoto(Exception):
    """A photo that cannot be shown: it is `gone`, or cannot be read."""

    def __init__(self, text: str, *, gone: bool = False) -> None:
        super().__init__(text)
        self.gone = gone


class PhotosAway(Exception):
    """The storage did not answer, or not to this service."""


class Photos:
    """Thread-safe."""

    def __init__(self, endpoint: str | None, buckets: Collection[str]) -> None:
        config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 2})
        self._s3 = read_as_errors(boto3.client("s3", endpoint_url=endpoint, config=config))
        self._buckets = buckets

    def jpeg(self, url: str) -> bytes:
        """Places and times that a camera wrote into it are left out. Raises `NoPhoto` or `PhotosAway`."""
        try:
            picture = Image.fromarray(decode(self.original(url)))
        except UnreadablePhoto as error:
            raise NoPhoto(str(error)) from None
        picture.thumbnail((_LONGEST_SIDE_PIXELS, _LONGEST_SIDE_PIXELS))
        encoded = io.BytesIO()
        picture.save(encoded, "JPEG", quality=_QUALITY)
        return encoded.getvalue()

    def original(self, url: str) -> bytes:
        """The bytes as they were stored, for models only. Raises `NoPhoto` or `PhotosAway`."""
        return self._body(self.address(url))

    def address(self, url: str) -> PhotoAddress:
        """The parsed address. Raises `NoPhoto` for one where no photo may be."""
        try:
            return PhotoAddress.parse(url, self._buckets)
        except BadPhotoAddress as error:
            raise NoPhoto(str(error)) from None

    def _body(self, address: PhotoAddress) -> bytes:
        try:
            found = self._s3.get_object(Bucket=address.bucket, Key=address.key)
            if found["ContentLength"] > MAX_PHOTO_BYTES:
                raise NoPhoto(f"photo of {found['ContentLength']} bytes is over the limit of {MAX_PHOTO_BYTES}")
            return bytes(found["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise NoPhoto(f"there is no photo at {address}", gone=True) from None
            raise PhotosAway(without_key(error, address.key)) from error
        except BotoCoreError as error:
            raise PhotosAway(without_key(error, address.key)) from error

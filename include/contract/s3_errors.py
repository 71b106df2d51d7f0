"""What S3 answers instead of an object is read as an error, whatever its headers are."""

from typing import Any

_FIRST_ERROR = 300


def read_as_errors(client: Any) -> Any:
    """The same boto3 client of S3: its GetObject raises `ClientError`, repeated as all its requests are.

    botocore 1.44 takes the body of an error with an `x-amz-checksum-…` header for a stream to check and fails to read
    it: AttributeError or TypeError, which it neither repeats nor wraps. Such an error is told by its status alone.
    """
    client.meta.events.register("before-parse.s3.GetObject", _without_stream)
    return client


def _without_stream(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] >= _FIRST_ERROR and not isinstance(response_dict["body"], bytes):
        response_dict["body"] = b""

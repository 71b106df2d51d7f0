"""What S3 answers instead of an object is read as an error, whatever its headers are."""

from typing import Any
from urllib.parse import quote

_FIRST_ERROR = 300
_CHECKSUM = "x-amz-checksum-"


def read_as_errors(client: Any) -> Any:
    """The same boto3 client of S3: its requests raise `ClientError` with what S3 says, and are repeated, always.

    botocore 1.44 takes the body of an error with an `x-amz-checksum-…` header for a stream to check, loses what it says
    and fails to read it: AttributeError or TypeError, which it neither repeats nor wraps. None of its events comes
    between the answer and that, so such an error loses the header where it is received.
    """
    session = client._endpoint.http_session
    send = session.send

    def received(request: Any) -> Any:
        response = send(request)
        if response.status_code >= _FIRST_ERROR:
            for name in [name for name in response.headers if name.lower().startswith(_CHECKSUM)]:
                del response.headers[name]
        return response

    session.send = received
    return client


def without_key(error: Exception, key: str) -> str:
    """What it says, but not of which object: a key may name a person, and what went wrong gets into logs.

    botocore gives the whole address, and S3 the resource that somebody may not read.
    """
    said = str(error)
    for shown in dict.fromkeys((key, quote(key, safe="/~"), quote(key, safe="~"))):
        said = said.replace(f"/{shown}", "/…") if key else said
    return said

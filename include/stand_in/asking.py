"""A stand-in's way to the model servers."""

from fastapi import HTTPException

from include.contract.client import ClientTls, FaceserveClient, FaceserveError
from include.stand_in.settings import StandInSettings

# A wrong token is this service's fault, and an error the server's: the caller could change neither.
_NOT_THE_CALLERS = {"UNAUTHENTICATED", "UNKNOWN", "INTERNAL"}


def faceserve_of(settings: StandInSettings) -> FaceserveClient:
    return FaceserveClient(
        settings.faceserve_replicas,
        token=settings.faceserve_token.get_secret_value(),
        tls=ClientTls.of(settings.faceserve_tls_ca),
    )


def refusal(what: str, error: FaceserveError) -> HTTPException:
    """What a caller is told who asked for `what`."""
    code = 503 if error.may_pass or error.code in _NOT_THE_CALLERS else 422
    return HTTPException(code, f"{what}: {error.detail}")

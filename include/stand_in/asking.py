"""A stand-in's way to the model servers."""

from fastapi import HTTPException

from include.contract.client import ClientTls, FaceserveClient, FaceserveError
from include.stand_in.settings import StandInSettings

# A token that is missing or wrong is this service's, and a fault is the server's: nothing that the caller could change.
_NOT_THE_CALLERS = {"UNAUTHENTICATED", "UNKNOWN", "INTERNAL"}


def faceserve_of(settings: StandInSettings) -> FaceserveClient:
    authority = settings.faceserve_tls_ca
    return FaceserveClient(
        settings.faceserve_replicas,
        token=settings.faceserve_token.get_secret_value(),
        tls=ClientTls(authority) if authority else None,
    )


def refusal(what: str, error: FaceserveError) -> HTTPException:
    """What a caller is told who wanted `what`."""
    code = 503 if error.may_pass or error.code in _NOT_THE_CALLERS else 422
    return HTTPException(code, f"{what}: {error.detail}")

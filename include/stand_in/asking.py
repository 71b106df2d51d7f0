"""A stand-in's way to the model servers."""

from fastapi import HTTPException

from include.contract.client import ClientTls, FaceserveClient, FaceserveError
from include.stand_in.settings import StandInSettings


def faceserve_of(settings: StandInSettings) -> FaceserveClient:
    authority = settings.faceserve_tls_ca
    return FaceserveClient(
        settings.faceserve_replicas,
        token=settings.faceserve_token.get_secret_value(),
        tls=ClientTls(authority) if authority else None,
    )


def refusal(what: str, error: FaceserveError) -> HTTPException:
    """What a caller is told who wanted `what`."""
    # A token that is missing or wrong is this service's, and nothing that the caller could change.
    code = 503 if error.may_pass or error.code == "UNAUTHENTICATED" else 422
    return HTTPException(code, f"{what}: {error.detail}")

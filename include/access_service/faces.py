"""Who a photo shows, as the model servers say, and whom they know."""

from typing import Protocol

from fastapi import HTTPException

from include.access_service.checks import Answer, Asked
from include.access_service.settings import MODEL, Settings
from include.contract.client import ClientTls, FaceserveError
from include.contract.lifecycle_client import LifecycleClient
from include.stand_in.asking import faceserve_of, refusal
from include.stand_in.photos import Photos


class Faces(Protocol):
    """Failures are raised as `HTTPException`; a photo that cannot be read, as `NoPhoto` or `PhotosAway`."""

    def answer(self, asked: Asked) -> Answer: ...

    def knows(self, identity: str, photo_url: str) -> bool:
        """Whether anybody is enrolled by that name; asked with any photo."""

    def enrol(self, identity: str, photo_url: str) -> int:
        """Returns how many people are enrolled then; another photo of the same person replaces the first."""

    def withdraw(self, identity: str) -> int:
        """Returns how many are left; nobody is taken for this person any more."""

    def close(self) -> None: ...


class FaceserveFaces:
    """Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._photos = Photos(settings.s3_endpoint, settings.photo_buckets)
        self._inference = faceserve_of(settings)
        self._settings = settings

    def answer(self, asked: Asked) -> Answer:
        photo = self._photos.original(asked.photo_url)
        try:
            found = self._inference.compared(MODEL, photo, identity=asked.claimed_identity or "")
        except FaceserveError as error:
            raise refusal("no answer", error) from None
        if found.threshold is None:
            raise HTTPException(503, f"no answer: {found.model_version} tells no people apart")
        best = found.matches[0] if found.matches else None
        if best is None:
            return Answer(None, None, found.threshold, found.model_version)
        return Answer(best.identity, best.similarity, found.threshold, found.model_version)

    def knows(self, identity: str, photo_url: str) -> bool:
        photo = self._photos.original(photo_url)
        try:
            return bool(self._inference.compared(MODEL, photo, identity=identity).matches)
        except FaceserveError as error:
            raise refusal("nobody could be asked who is enrolled", error) from None

    def enrol(self, identity: str, photo_url: str) -> int:
        photo = self._photos.original(photo_url)
        try:
            with self._enrolment() as client:
                return client.enroll(MODEL, identity, photo)
        except FaceserveError as error:
            raise refusal("nobody was enrolled", error) from None

    def withdraw(self, identity: str) -> int:
        try:
            with self._enrolment() as client:
                return client.withdraw(MODEL, identity)
        except FaceserveError as error:
            raise refusal("nobody was withdrawn", error) from None

    def close(self) -> None:
        self._inference.close()

    def _enrolment(self) -> LifecycleClient:
        """Made for each call, which are few: a certificate that was renewed meanwhile counts."""
        s = self._settings
        tls = ClientTls.of(s.faceserve_tls_ca, s.faceserve_tls_certificate, s.faceserve_tls_key)
        token = s.faceserve_enrolment_token.get_secret_value()
        return LifecycleClient(s.faceserve_enrolment, token=token, tls=tls)

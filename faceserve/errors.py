"""Why the model server refuses a call; `status` is the name of the gRPC status each becomes."""


class ServingError(Exception):
    """The text is the status's detail, read by people and clients."""

    status = "INTERNAL"


class Refused(ServingError):
    """The request cannot be served as it is; the text says why and what would be taken."""


class BadRequest(Refused):
    """Tensors, names or shapes that the model does not take."""

    status = "INVALID_ARGUMENT"


class BadPhoto(Refused):
    """No usable photo."""

    status = "INVALID_ARGUMENT"


class NoModel(Refused):
    """No version of this model serves yet."""

    status = "UNAVAILABLE"


class UnknownModel(Refused):
    """No such model, or no such version of it here."""

    status = "NOT_FOUND"


class BadArtifact(Refused):
    """A model that must not serve: damaged, tampered with, or answering otherwise than its trainer said."""

    status = "FAILED_PRECONDITION"


class StaleEpoch(Refused):
    """What serves changed since the caller looked (compare-and-swap failed)."""

    status = "ABORTED"


class Overloaded(Refused):
    """More requests wait than settings allow; another replica, or a moment later, may answer."""

    status = "RESOURCE_EXHAUSTED"


class TooLate(Refused):
    """The caller's deadline passed before an engine was free."""

    status = "DEADLINE_EXCEEDED"


class InferenceFailed(ServingError):
    """The engine failed on a request that was fine."""


class RegistryUnavailable(ServingError):
    """The model registry did not answer; the same call may succeed later."""

    status = "UNAVAILABLE"


class StorageUnavailable(ServingError):
    """S3 did not answer; the same call may succeed later."""

    status = "UNAVAILABLE"

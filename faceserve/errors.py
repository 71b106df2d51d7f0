"""What the model server refuses, and why; `status` is the name of the gRPC status that a caller gets."""

# What clients take for a reason to ask again (`include/contract/channel.py`).
_PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}


def may_pass(error: Exception) -> bool:
    """Whether the same call may succeed later; an unforeseen error says nothing against the request."""
    return not isinstance(error, ServingError) or error.status in _PASSING


class ServingError(Exception):
    """The text becomes the detail of the gRPC status; people and clients read it."""

    status = "INTERNAL"


class Refused(ServingError):
    """The request cannot be served as it is; the text says why."""


class BadRequest(Refused):
    """The model does not take such tensors, names or shapes."""

    status = "INVALID_ARGUMENT"


class BadPhoto(Refused):
    """What was sent is not a photo that can be used."""

    status = "INVALID_ARGUMENT"


class TooLarge(Refused):
    """An object in the store is larger than what may be read of its kind."""

    status = "INVALID_ARGUMENT"


class NoModel(Refused):
    """No version of this model serves yet."""

    status = "UNAVAILABLE"


class UnknownModel(Refused):
    """No such model, or no such version of it here."""

    status = "NOT_FOUND"


class BadArtifact(Refused):
    """A model that must not serve: it is damaged, was tampered with, or does not answer as its trainer recorded."""

    status = "FAILED_PRECONDITION"


class StaleEpoch(Refused):
    """What serves changed since the caller looked (compare-and-swap failed)."""

    status = "ABORTED"


class Withdrew(Refused):
    """Somebody withdrew while they were being enrolled: their last word counts, and nothing was kept."""

    status = "ABORTED"


class NameTaken(Refused):
    """The request's name is already that of another change, which was made; the text says which."""

    status = "ALREADY_EXISTS"


class Overloaded(Refused):
    """More requests wait than the settings allow; another replica may answer, or this one a moment later."""

    status = "RESOURCE_EXHAUSTED"


class TooLate(Refused):
    """The caller's deadline passed before an engine was free."""

    status = "DEADLINE_EXCEEDED"


class NotAllowed(Refused):
    """Somebody else decides this; the text says who."""

    status = "PERMISSION_DENIED"


class NotOffered(Refused):
    """A part of a protocol that this server does not have; the text says what to use instead."""

    status = "UNIMPLEMENTED"


class Unauthenticated(Refused):
    """The caller did not show the token that this call needs."""

    status = "UNAUTHENTICATED"


class InferenceFailed(ServingError):
    """The engine failed on a request that was fine."""


class NotFinite(InferenceFailed):
    """The engine's answer to this request has numbers that are not finite, and must not count as an answer."""


class ModelHangs(InferenceFailed):
    """The engine does not come back; another replica may answer."""

    status = "UNAVAILABLE"


class NoVerdict(ServingError):
    """A candidate could not be tried out here and now; nothing is known against it, and the same call may succeed."""

    status = "RESOURCE_EXHAUSTED"


class DiskUnusable(ServingError):
    """The disk is full or refuses; nothing is wrong with the model, and the same call may succeed later."""

    status = "RESOURCE_EXHAUSTED"


class RegistryUnavailable(ServingError):
    """The model registry did not answer; the same call may succeed later."""

    status = "UNAVAILABLE"


class StorageUnavailable(ServingError):
    """S3 did not answer, or not in time; the same call may succeed later."""

    status = "UNAVAILABLE"


class ObjectRefused(StorageUnavailable):
    """S3 answered that it does not give out this object: no right to it, or it lies in the archive."""

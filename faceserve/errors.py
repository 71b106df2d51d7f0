"""What the model server says no to; `servicer` turns each into a gRPC status."""


class Refused(Exception):
    """The request cannot be served as it is; the text says why."""


class BadPhoto(Refused):
    """No usable photo."""


class NoModel(Refused):
    """No version of this model serves yet."""


class UnknownModel(Refused):
    """No such model, or no such version of it here."""


class BadArtifact(Refused):
    """A model that must not serve: damaged, tampered with, or answering otherwise than its trainer said."""


class StaleEpoch(Refused):
    """What serves changed since the caller looked (compare-and-swap failed)."""


class StorageUnavailable(Exception):
    """S3 did not answer; the same call may succeed later."""

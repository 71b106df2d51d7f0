"""Who somebody is, in whatever Unicode form the name comes."""

from faceserve.errors import BadRequest
from include.contract.identity import canonical


def named(identity: str) -> str:
    """The canonical name. Raises `BadRequest` for what is too long to be one."""
    try:
        return canonical(identity)
    except ValueError as error:
        raise BadRequest(f"identity {identity[:40]!r}: {error}") from None


def name_in(key: str) -> str:
    """Whose object has this key below the gallery. A text too long for a name is left as it is: it is nobody's."""
    try:
        return canonical(key)
    except ValueError:
        return key

"""What may stand in a request to any stand-in."""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from include.contract.photo import ADDRESS_PATTERN, PhotoAddress

ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
# For whatever names something that may not be there, too: a text that no table could keep names nothing.
Id = Annotated[str, StringConstraints(pattern=ID)]
IdInPath = Annotated[str, Path(pattern=ID)]


def _an_address(url: str) -> str:
    return str(PhotoAddress.read(url))


PhotoUrl = Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN), AfterValidator(_an_address)]
# Names of people and branches, in any letters.
Name = Annotated[str, StringConstraints(pattern=r"^[\p{L}\p{N}][\p{L}\p{N} ._:@-]{0,63}$")]
# PostgreSQL keeps every character but this one.
Reason = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]


class Wire(BaseModel):
    """Names are in camel case; what it does not know is refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", protected_namespaces=())

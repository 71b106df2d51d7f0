"""What may stand in a request to any stand-in."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
PHOTO = r"^s3://[a-z0-9][a-z0-9.-]+/[A-Za-z0-9][A-Za-z0-9._/-]*$"
Id = Annotated[str, StringConstraints(pattern=ID)]
IdInPath = Annotated[str, Path(pattern=ID)]
PhotoUrl = Annotated[str, StringConstraints(pattern=PHOTO)]
# Names of people and branches, in any letters.
Name = Annotated[str, StringConstraints(pattern=r"^[\p{L}\p{N}][\p{L}\p{N} ._:@-]{0,63}$")]
# PostgreSQL keeps every character but this one.
Reason = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]


class Wire(BaseModel):
    """Names are in camel case; what it does not know is refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", protected_namespaces=())

"""Tokens by which replicas know who changes models and who enrols people, in files that they read while they run.

`python -m include.stack.door_tokens FOLDER` writes these. Tokens of that command are in `LIFECYCLE_TOKENS` and
`ENROLMENT_TOKENS`, divided by a space where one takes the place of another.
"""

from collections.abc import Mapping
from pathlib import Path

import click

from include.stack import whole_files
from include.stack.variables import demanded

# The calls that each secret's token opens. The oldest secret keeps its name.
SECRETS: Mapping[str, str] = {"lifecycle": "faceserve", "enrolment": "faceserve_enrolment"}


def file_of_stack(root: Path, calls: str) -> Path:
    return root / "tokens" / calls


def write(folder: Path, calls: str, *tokens: str) -> None:
    """Writes the file whose tokens open `calls`. A replica reads either the new file or the old one, never a part."""
    whole_files.write(folder / calls, "".join(f"{token}\n" for token in tokens).encode(), mode=0o600)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    for calls, tokens in demanded({calls: f"{calls}_TOKENS".upper() for calls in SECRETS}).items():
        write(folder, calls, *tokens.split())


if __name__ == "__main__":
    main()

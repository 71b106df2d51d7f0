"""S3 keys by component: the pipeline's is `retraining`, any other has its component's name.

What each may do where the server obeys policies: `include/stack/object_rights.py`. rclone obeys none:
`python -m include.stack.object_keys rclone …` becomes that command, and tells it the keys that are in variables.
"""

import os
import sys
from collections.abc import Mapping

import click

PIPELINE = "retraining"
# The oldest keeps its name among the stack's secrets.
SECRETS: Mapping[str, str] = {
    PIPELINE: "s3",
    "faceserve": "s3_faceserve",
    "helper": "s3_helper",
    "access": "s3_access",
    "mlflow": "s3_mlflow",
    "log-receiver": "s3_log_receiver",
}


def key_of(component: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """The variables from which every S3 client reads its key."""
    return {"AWS_ACCESS_KEY_ID": component, "AWS_SECRET_ACCESS_KEY": secrets[SECRETS[component]]}


def variable_of(component: str) -> str:
    """The server's variable with the secret half of the key."""
    return f"{SECRETS[component]}_SECRET_KEY".upper()


# What follows the program is its own, options too.
_OF_PROGRAM = {"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]}


@click.command(help=__doc__, context_settings=_OF_PROGRAM)
@click.argument("program")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def main(program: str, words: tuple[str, ...]) -> None:
    if missing := [variable_of(component) for component in SECRETS if not os.environ.get(variable_of(component))]:
        sys.exit(
            f"refused: {', '.join(missing)} must be set: without a key S3 would let everybody in, or its owner not"
        )
    # It reads a line of CSV: each pair is one quoted field.
    pairs = (f'"{component},{os.environ[variable_of(component)]}"' for component in SECRETS)
    os.execvpe(program, [program, *words], {**os.environ, "RCLONE_AUTH_KEY": ",".join(pairs)})


if __name__ == "__main__":
    main()

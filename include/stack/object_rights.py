"""Who may do what with objects in S3: `python -m include.stack.object_rights COMPONENT` prints the policy of its key.

A policy is an IAM document, which MinIO and Ceph read, too; `--bucket models=acme-models` gives one its name there.
Components are called as the Secrets of include/k8s that hold their keys, where there is one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import click

# Without the right to list, S3 says of what is missing that it is forbidden, and not that it is missing.
READ, LIST = "s3:GetObject", "s3:ListBucket"
# An interrupted upload is aborted by whoever began it.
WRITE = ("s3:PutObject", "s3:AbortMultipartUpload")
DELETE = "s3:DeleteObject"
# Out of Glacier.
THAW = "s3:RestoreObject"

_ARN = "arn:aws:s3:::"


@dataclass(frozen=True)
class Grant:
    """What may be done with the objects of a bucket whose keys begin with one of the `prefixes`; `*` is anything."""

    bucket: str
    actions: tuple[str, ...]
    prefixes: tuple[str, ...] = ("",)


# Beside them lies the archive, which is the pipeline's alone.
_MODELS = ("LAUNDRY/", "FACE/")
_KEPT = (READ, *WRITE, DELETE)
RIGHTS: Mapping[str, tuple[Grant, ...]] = {
    "faceserve": (
        Grant("models", (READ,), _MODELS),
        Grant("tasks", (READ,)),
        # Who is enrolled, and who no longer is.
        Grant("faces", _KEPT),
    ),
    # A training pod: shards and pretrained weights in, a model and checkpoints out; what it keeps of single photos to
    # save time goes again when one of them is erased.
    "retraining": (
        Grant("datasets", (READ,)),
        Grant("models", (READ, *WRITE), _MODELS),
        Grant("models", (READ,), ("weights/",)),
        Grant("models", (DELETE,), tuple(f"{of}*/{cache}/" for of in _MODELS for cache in ("features", "activations"))),
    ),
    # A pod that learns faces: photos of doors and what the champion has learned from in, a dataset and a model out; of
    # who was erased meanwhile it keeps nothing.
    "face-training": (
        Grant("tasks", (READ,)),
        Grant("datasets", (READ, *WRITE)),
        Grant("datasets", (DELETE,), ("faces/", "*/drafts/")),
        Grant("models", (READ, *WRITE), ("FACE/",)),
    ),
    "airflow": (
        Grant("tasks", (READ,)),
        Grant("datasets", _KEPT),
        Grant("models", (*_KEPT, THAW)),
        Grant("backups", _KEPT),
        # Out of a gallery that was restored goes whoever was erased, as does what was said of them lately; nobody is
        # enrolled with this key.
        Grant("faces", (DELETE,), ("face/", "face.known/")),
        Grant("faces", _KEPT, ("face.changes/",)),
        Grant("faces", WRITE, ("face.revision",)),
        Grant("airflow-logs", (READ, *WRITE)),
    ),
    # This key adds objects, and cannot delete them.
    "log-receiver": (Grant("backups", (READ, *WRITE)),),
    "mlflow": (Grant("mlflow", _KEPT),),
    "helper": (Grant("tasks", (READ,)),),
    "access": (Grant("tasks", (READ,)),),
}


def policy(component: str, buckets: Mapping[str, str]) -> dict[str, object]:
    """The document; `buckets` maps our names to those that they have there."""
    grants = [(buckets.get(grant.bucket, grant.bucket), grant) for grant in RIGHTS[component]]
    statements: list[dict[str, object]] = [
        {
            "Effect": "Allow",
            "Action": list(grant.actions),
            "Resource": [f"{_ARN}{bucket}/{prefix}*" for prefix in grant.prefixes],
        }
        for bucket, grant in grants
    ]
    listed = {"Effect": "Allow", "Action": [LIST], "Resource": [f"{_ARN}{bucket}" for bucket, _ in grants]}
    return {"Version": "2012-10-17", "Statement": [*statements, listed]}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("component", type=click.Choice(sorted(RIGHTS)))
@click.option("--bucket", "renamed", multiple=True, metavar="OURS=THEIRS", help="A bucket that has another name there.")
def main(component: str, renamed: tuple[str, ...]) -> None:
    """Print the policy of a component's key."""
    known = {grant.bucket for grants in RIGHTS.values() for grant in grants}
    pairs = dict(one.partition("=")[::2] for one in renamed)
    if strangers := [name for name, theirs in pairs.items() if name not in known or not theirs]:
        raise click.UsageError(
            f"{', '.join(strangers)}: our buckets are {', '.join(sorted(known))}, each as OURS=THEIRS"
        )
    click.echo(json.dumps(policy(component, pairs), indent=1))


if __name__ == "__main__":
    main()

#!/bin/sh
# `sh include/docker/images.sh [faceserve application training training-cuda]`: builds the images, all by default, on a
# base by digest, and prints what each is made of and how large it is. TAG names the release.
set -eu
cd "$(dirname "$0")/../.."
TAG=${TAG:-0.1.0}
BASE=${BASE:-python:3.11-slim-bookworm}
commit=$(git rev-parse HEAD 2>/dev/null || true)
case $BASE in *@sha256:*) ;; *)
    # A tag is another image next week: what was built on is named by what it is.
    docker pull --quiet "$BASE" >/dev/null
    BASE=$(docker image inspect --format '{{index .RepoDigests 0}}' "$BASE")
esac
echo "base $BASE, commit ${commit:-unknown}"

build() { # name, Dockerfile, packages
    docker build --quiet --file "include/docker/$2.Dockerfile" --tag "laundry-$1:$TAG" \
        --build-arg BASE="$BASE" --build-arg GIT_COMMIT="$commit" --build-arg PACKAGES="$3" . >/dev/null
    docker image inspect --format "laundry-$1:$TAG {{.Id}} {{.Size}} bytes" "laundry-$1:$TAG"
}

[ $# -gt 0 ] || set -- faceserve application training training-cuda
for name in "$@"; do
    case $name in
        faceserve) build faceserve faceserve '' ;;
        application) build retraining application application ;;
        *) build "$name" application "$name" ;;
    esac
done

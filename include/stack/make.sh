#!/bin/sh
# `sh include/stack/make.sh VERB`: the same as `make VERB` where make is not installed yet.
set -eu
cd "$(dirname "$0")/../.."
if ! command -v make >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends make
fi
exec make "$@"

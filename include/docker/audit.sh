#!/bin/sh
# `sh include/docker/audit.sh sbom [LOCK…]` writes what each image is made of, a CycloneDX list of packages with their checksums, to
# .sbom/; `… audit [LOCK…]` asks PyPI which of them are known to be vulnerable, and ends with 1 when any is. A LOCK is the name of a
# file of include/docker without its .txt; without any, those of every image. The list needs no network once the programs are there:
# they have an environment of their own, from include/docker/audit.txt, and are in no image.
set -eu
cd "$(dirname "$0")/../.."
what=${1:-}; [ $# -eq 0 ] || shift
case $what in sbom|audit) ;; *) echo "usage: sh include/docker/audit.sh sbom|audit [LOCK…]" >&2; exit 2 ;; esac
[ $# -gt 0 ] || set -- faceserve application training training-cuda

tools=.stack/tools/audit
uv=$(command -v uv || echo .stack/tools/bin/uv)
if ! cmp -s include/docker/audit.txt "$tools/made-from.txt"; then
    "$uv" venv --quiet --clear --python "${PYTHON:-.venv/bin/python}" "$tools"
    "$uv" pip sync --quiet --require-hashes --python "$tools/bin/python" include/docker/audit.txt
    cp include/docker/audit.txt "$tools/made-from.txt"
fi

status=0
for lock in "$@"; do
    if [ "$what" = sbom ]; then
        mkdir -p .sbom
        "$tools/bin/cyclonedx-py" requirements --output-reproducible --output-format JSON --output-file ".sbom/$lock.cdx.json" \
            "include/docker/$lock.txt"
        echo ".sbom/$lock.cdx.json: $(grep -c '"purl"' ".sbom/$lock.cdx.json") packages"
    else
        echo "$lock:"
        # The locks name every package with its version and checksum: nothing is resolved or installed. One that PyPI does not
        # tell of is a fault, too.
        "$tools/bin/pip-audit" --strict --requirement "include/docker/$lock.txt" --require-hashes --disable-pip \
            --progress-spinner off || status=1
    fi
done
exit "$status"

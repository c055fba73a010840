#!/bin/sh
# What `make` needs of the system: Python, its venv, and for the PDF Pango, HarfBuzz and a font.
# As root on Debian and Ubuntu it installs what is missing with apt-get; otherwise it prints the one line to run.
set -eu
python=${PYTHON:-python3}
root=$(cd "$(dirname "$0")/../.." && pwd)

missing_packages() {
    if command -v "$python" > /dev/null 2>&1; then
        "$python" -I "$root/zfrepro/report/system_libraries.py"
    else
        echo "$python $python-venv libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"
    fi
}

require_new_python() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && return
    echo "zfrepro needs Python 3.11 or newer, and $python is $("$python" -V 2>&1); run make PYTHON=python3.11" >&2
    exit 1
}

if command -v "$python" > /dev/null 2>&1; then
    require_new_python
fi
missing=$(missing_packages)
if [ -z "$missing" ]; then
    exit 0
fi
if ! command -v apt-get > /dev/null 2>&1; then
    echo "This machine lacks the libraries of these Debian packages: $missing; install their equivalents, then run make again" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "This machine lacks some system packages; run this line, then make again: sudo apt-get install $missing" >&2
    exit 1
fi
echo "Installing with apt-get: $missing"
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
require_new_python
left=$(missing_packages)
if [ -n "$left" ]; then
    echo "apt-get succeeded, but these packages are still missing: $left; install them, then run make again" >&2
    exit 1
fi

#!/bin/sh
# Make the private environment of `make test` and `make demo`, or reuse it.
#
# usage: tools/make_env.sh FOLDER
#
# BASE_PYTHON in the environment names the interpreter to make it with, if several are
# there.
#
# A file FOLDER/.ready-HASH marks a finished environment; HASH covers the pinned
# versions and the Python version, so a change of either builds a new one. A file
# FOLDER/.installed-HASH marks that this checkout is installed in it (editable); HASH
# covers what such an installation depends on, so a change installs it again.
set -eu

cd "$(dirname "$0")/.."
venv=${1:?usage: tools/make_env.sh FOLDER}
pins=requirements/tested.txt

say() { printf 'env: %s\n' "$*"; }
die() {
    printf 'env: %s\n' "$@" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

# Sets `python` and `version` to the first interpreter that can make environments.
find_python() {
    seen=''
    without_venv=''
    for candidate in ${BASE_PYTHON:-} python3.12 python3.11 python3.10 python3; do
        version=$(version_of "$candidate")
        case $version in
        3.10 | 3.11 | 3.12)
            if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
                python=$candidate
                return
            fi
            without_venv=$version
            ;;
        '') ;;
        *) seen="$seen $candidate is Python $version." ;;
        esac
    done
    if [ -n "$without_venv" ]; then
        die "Python $without_venv is here, but without the modules venv and ensurepip." \
            "On Debian or Ubuntu: apt-get install python$without_venv-venv" \
            'Or name an environment that has everything: make ... PYTHON=/path/to/python'
    fi
    die "no Python 3.10, 3.11 or 3.12 on the PATH.$seen" \
        'On Debian or Ubuntu: apt-get install python3 python3-venv (or pyenv, conda, ...)' \
        'Or name an environment that has everything: make ... PYTHON=/path/to/python'
}

pip_install() {
    log=$venv/install.log
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check \
        --progress-bar off "$@" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "pip failed (all of it: $log)." \
            'The pinned packages need a package index and about 8 GB of disk.' \
            'The next run starts again.'
    fi
}

# Without the CRF: say what it needs, and go on.
explain_no_crf() {
    tail -n 5 "$venv/crf.log" >&2
    say "pydensecrf did not install (all of it: $venv/crf.log)."
    if ! command -v c++ >/dev/null 2>&1 && ! command -v g++ >/dev/null 2>&1; then
        say 'There is no C++ compiler. On Debian or Ubuntu: apt-get install g++'
    elif ! "$venv/bin/python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; then
        say "There are no headers of Python $version (Python.h)." \
            "On Debian or Ubuntu: apt-get install python$version-dev"
    fi
    say 'Going on without: everything but dense CRF works, and tests of it are skipped.' \
        "To add it later: $venv/bin/pip install -r requirements/crf.txt"
}

# Needs no package index: PyTorch brought setuptools.
install_checkout() {
    pip_install --no-deps --no-build-isolation -e .
    rm -f "$venv"/.installed-*
    touch "$venv/.installed-$setup"
}

build() {
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
        die "$venv exists and is not a Python environment: move it away, or set VENV=..."
    fi
    rm -rf "$venv"
    say "1/6 new environment in $venv (Python $version)"
    "$python" -m venv "$venv" ||
        die "$python could not make an environment in $venv (is the folder writable?)"
    say '2/6 PyTorch (about 3 GB to fetch, the longest step)'
    grep -E '^torch(vision)?==' "$pins" >"$venv/torch.txt"
    pip_install -c "$pins" -r "$venv/torch.txt"
    say '3/6 the other packages'
    # opencv-python-headless stands in for opencv-python, which needs a system libGL:
    # the pins are complete, so pip need not follow the dependencies.
    grep -v '^pydensecrf2==' "$pins" >"$venv/others.txt"
    pip_install --no-deps -r "$venv/others.txt"
    say '4/6 dense CRF (compiled from source, about a minute)'
    # Alone and last: everything else works on a machine that cannot compile it.
    grep '^pydensecrf2==' "$pins" >"$venv/crf.txt"
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
        --no-deps -r "$venv/crf.txt" >"$venv/crf.log" 2>&1 || explain_no_crf
    say '5/6 this checkout (editable)'
    install_checkout
    say '6/6 checking that everything imports'
    "$venv/bin/python" tools/check_env.py --tests
    touch "$venv/.ready-$hash"
    say 'ready'
}

find_python
hash=$("$python" -c 'import hashlib, sys
pins = open(sys.argv[1], "rb").read()
print(hashlib.sha256(pins + sys.version.encode()).hexdigest()[:16])' "$pins")
setup=$("$python" -c 'import hashlib, os, sys
parts = [open(name, "rb").read() for name in sys.argv[1:]]
print(hashlib.sha256(b"".join([os.getcwdb(), *parts])).hexdigest()[:16])' \
    setup.py pyproject.toml wsss_mm/__init__.py)
if [ ! -e "$venv/.ready-$hash" ] || [ ! -x "$venv/bin/python" ]; then
    build
elif [ ! -e "$venv/.installed-$setup" ]; then
    say 'installing this checkout (editable)'
    install_checkout
fi

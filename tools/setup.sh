#!/bin/sh
# Find a Python 3.11 and let it set the environment up: the one in .venv, $PYTHON, or what the machine calls python.
# Each is tried by running it, because a version manager's shim can exist without the version behind it.
set -eu
cd "$(dirname "$0")/.."

for python in .venv/bin/python "${PYTHON:-python3.11}" python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then
        exec "$python" tools/setup_env.py
    fi
done
echo "vbench's environment needs Python 3.11, and neither ${PYTHON:-python3.11} nor python3 is one here." >&2
echo "Install it, or say where it is: make setup PYTHON=/path/to/python3.11" >&2
exit 1

# The tests of python/, with pytest; PYTHON names the interpreter. TAP, run by
# prove.
cd "$(dirname "$0")/.." || exit 1
export PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=python:python/tests

for python in ${PYTHON:-python3 /usr/bin/python3}; do
    "$python" -c 'import numpy, pytest' 2>/dev/null && break
    python=
done
if [ -z "$python" ]; then
    echo "1..0 # SKIP no Python with numpy and pytest: make deps"
    exit 0
fi
exec "$python" -m pytest -p no:terminal -p tap python/tests

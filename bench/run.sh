#!/bin/sh
# Prints the figures of bench/README.md; the argument is the build folder.
# Ratios within one run: nothing here is asserted.
set -eu
build=${1:-build}
for program in find kernels; do
    echo "== $program"
    "$build/bench/$program"
done
echo "== python"
for python in ${PYTHON:-python3 /usr/bin/python3} none; do
    "$python" -c 'import numpy' 2>/dev/null && break
done
if [ "$python" = none ]; then
    echo "no Python with numpy: make deps"
else
    PYTHONDONTWRITEBYTECODE=1 "$python" bench/python.py "$build"
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
shapes=${GDR_BENCH_SHAPES:-smoke}
echo "== tuning $shapes from an empty database, twice, and once more on top"
for name in a b b; do
    start=$(date +%s.%N)
    "$build/gdr-tune" --device cpu --shapes "$shapes" --db "$dir/$name.db" \
        --quiet >/dev/null
    echo "$name $start $(date +%s.%N)" |
        awk '{printf "%s.db: %.1f s\n", $1, $3 - $2}'
done
echo "== serve"
"$build/bench/serve" "$dir/a.db"
echo "== stability: winners of the two runs side by side, beside an A/A run"
"$build/bench/stability" "$dir/a.db" "$dir/b.db"
echo "== defaults against winners"
"$build/bench/defaults" "$dir/a.db"

#!/bin/sh
# What only a card can show, in one command; files go to a folder.
#
#     bench/gpu.sh check|bench PROGRAM FOLDER [DEVICE]
#
# check: every variant of the list `all` passes the gate on the card.
# bench: the problems of bench/gpu.lua, tuned, as a table and as CSV.
set -eu
what=$1 tune=$2 out=$3 device=${4:-0}
here=$(dirname "$0")
mkdir -p "$out"
if command -v nvidia-smi >/dev/null 2>&1; then
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem \
        --format=csv >"$out/card.csv"
    cat "$out/card.csv"
fi
case $what in
check)
    "$tune" --device "$device" --check-only --shapes all \
        --db "$out/check.db" --verbose 2>&1 | tee "$out/check.log" | tail -n 60
    ;;
bench)
    "$tune" --device "$device" --shapes "$here/gpu.lua" \
        --db "$out/gpu.db" >"$out/bench.log" 2>&1 || tail -n 40 "$out/bench.log"
    "$tune" show --db "$out/gpu.db"
    "$tune" show --csv --db "$out/gpu.db" >"$out/gpu.csv"
    ;;
*)
    echo "gpu.sh: '$what' is neither check nor bench" >&2
    exit 2
    ;;
esac

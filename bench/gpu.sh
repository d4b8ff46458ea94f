#!/bin/sh
# What only a card can show, in one command; files go to a folder.
#
#     bench/gpu.sh check|bench|serve BUILD FOLDER [DEVICE]
#
# check: every variant of the list `all` passes the gate on the card.
# bench: the problems of bench/gpu.lua, tuned, as a table and as CSV.
# serve: what an engine meets: bundles of every rung, checked again on the card,
#        a server's day, and the time beside the driver.
set -eu
what=$1 build=$2 out=$3 device=${4:-0}
tune=$build/gdr-tune
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
serve)
    layer=recurrent:ring:vk:bf16/bf16:k128v128:l2norm:g:round
    decode=recurrent:final:vk:bf16/f32:k128v128:l2norm:g
    bundle=$build/gdr-bundle
    failed=0
    # step NAME COMMAND...: goes on, so that one run tells all
    step() {
        echo "== $1"
        shift
        "$@" 2>&1 || { failed=1 && echo "FAILED: $*"; }
    }
    step "tuned" "$tune" --device "$device" --effort quick --quiet \
        --db "$out/serve.db" --only "$layer / b1t1hk2hv4" \
        --only "$layer / b4t1hk2hv4" --only "$decode / b1t1hk16hv32" \
        --only "$decode / b64t1hk16hv32"
    step "a bundle of its winners, and of cards that are not here" \
        "$bundle" build --db "$out/serve.db" -o "$out/serve.gdrb" --force
    step "every code of it, checked again" \
        "$bundle" verify --run --device "$device" "$out/serve.gdrb"
    step "a bundle for older cards alone: here its PTX serves" \
        "$bundle" build --db "$out/serve.db" --arch sm_80 \
        -o "$out/ptx.gdrb" --force
    step "every code of that" \
        "$bundle" verify --run --device "$device" "$out/ptx.gdrb"
    step "what it says" "$tune" explain "$decode / b1t1hk16hv32" \
        --device "$device" --db "$out/ptx.gdrb"
    for table in serve.db serve.gdrb ptx.gdrb; do
        step "a server's day with $table" "$build/examples/decode_loop" \
            "$out/$table" "cuda:$device"
    done
    for problem in "$decode / b1t1hk16hv32" "$decode / b64t1hk16hv32"; do
        step "beside the driver: $problem" "$build/bench/card" \
            "$out/serve.db" "$problem" "$device"
    done
    exit $failed
    ;;
*)
    echo "gpu.sh: '$what' is none of check, bench, serve" >&2
    exit 2
    ;;
esac

# gdr-tune on an emulated card, as a shell sees it: what is found, where, and
# the exit code. TAP, run by prove.
cd "$(dirname "$0")/.." || exit 1
tune=${BUILD:-build}/gdr-tune
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
problem='recurrent:final:vk:f32/f32:k16v16:g / b1t1hk1hv2'
n=0
failed=0

# exits CODE NAME OPTIONS...
exits() {
    want=$1 name=$2
    shift 2
    n=$((n + 1))
    "$tune" --db "$dir/a.db" "$@" >"$dir/log" 2>&1
    got=$?
    if [ "$got" = "$want" ]; then
        echo "ok $n - $name"
    else
        failed=1
        echo "not ok $n - $name: exit code $got, not $want"
        sed 's/^/# /' "$dir/log"
    fi
}

# says WORD: the last command's words contain it
says() {
    n=$((n + 1))
    if grep -qe "$1" "$dir/log"; then
        echo "ok $n - ... and says '$1'"
    else
        failed=1
        echo "not ok $n - ... and says '$1'"
        sed 's/^/# /' "$dir/log"
    fi
}

exits 2 "an unknown chip" --device emu:sm_99 --only "$problem"
says 'sm_90a'
exits 2 "no chip" --device emu --only "$problem"
says 'sm_90a'
if ! command -v c++ >/dev/null && ! command -v g++ >/dev/null &&
    ! command -v clang++ >/dev/null; then
    echo "1..$n # the rest needs a C++ compiler"
    exit $failed
fi
exits 0 "clean kernels" --device emu:sm_75 --only "$problem"
says ' 0 failed'
racy() {
    exits 1 "$1" --device emu:sm_75 --only "$problem" \
        --templates tests/faults/card $2
}
racy "a racy kernel"
says 'cuda/racy n=1: race: race: .*templates/cuda/racy.cu:8'
says '1 failed'
racy "its outcome was stored"
says 'cuda/racy n=1: race: race: .*templates/cuda/racy.cu:8'
racy "as JSON" --json
says '"outcome":"race"'
exits 0 "show, of outcomes alone" show
says "nothing is tuned yet"
echo "1..$n"
exit $failed

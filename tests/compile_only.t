# gdr-tune --compile-only: exit codes and words, with faults planted for sm_75.
# TAP, run by prove.
cd "$(dirname "$0")/.." || exit 1
tune=${BUILD:-build}/gdr-tune
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
problem='recurrent:final:vk:f32/f32:k32v32:g / b2t1hk1hv2'
n=0
failed=0

# exits CODE NAME COMMAND...: what it said is shown when the code is another
exits() {
    want=$1 name=$2
    shift 2
    n=$((n + 1))
    (eval "$*") >"$dir/log" 2>&1
    got=$?
    if [ "$got" = "$want" ]; then
        echo "ok $n - $name"
    else
        failed=1
        echo "not ok $n - $name: exit code $got, not $want"
        echo "# $*"
        sed 's/^/# /' "$dir/log"
    fi
}

# says WORDS, hides WORDS: the last command's words contain them, or do not
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
hides() {
    n=$((n + 1))
    if grep -qe "$1" "$dir/log"; then
        failed=1
        echo "not ok $n - ... and does not say '$1'"
        sed 's/^/# /' "$dir/log"
    else
        echo "ok $n - ... and does not say '$1'"
    fi
}

# Only the planted kernel: the real ones are hidden by specs that apply to
# nothing.
planted=$dir/templates
cp -r tests/faults/nvrtc "$planted"
for spec in templates/cuda/*.lua; do
    [ -f "$spec" ] || continue
    cp tests/faults/cpu/recurrent.lua "$planted/cuda/${spec##*/}"
done

compile() {
    "$tune" --compile-only --templates "$planted" --only "$problem" "$@"
}

if compile --arch sm_80 2>&1 | grep -q 'built without the CUDA'; then
    echo "ok 1 # SKIP built without the CUDA headers"
    echo "1..1"
    exit 0
fi

# ---- with no NVRTC, and with none that works ----

touch "$dir/libnvrtc.so.13"
exits 2 "no NVRTC" 'GDR_NVRTC=$dir/nothing compile --arch sm_80'
says 'no NVRTC that works: tried GDR_NVRTC='
exits 2 "a broken NVRTC" 'GDR_NVRTC=$dir/libnvrtc.so.13 compile --arch sm_80'
says "$dir/libnvrtc.so.13"
says 'pip install'
exits 2 "an arch without compile-only" '$tune --arch sm_80'
says 'compile-only'

if compile --arch sm_80 2>&1 | grep -q 'no NVRTC'; then
    echo "ok $((n + 1)) # SKIP no NVRTC"
    echo "1..$((n + 1))"
    exit $failed
fi

# ---- with one ----

exits 2 "an arch that nobody knows" 'compile --arch sm_80,sm_7'
says "'sm_7': there are sm_70 sm_75"
if compile --arch sm_70 2>&1 | grep -q 'does not know sm_70'; then
    exits 2 "an arch that this NVRTC does not know" 'compile --arch sm_70'
    says 'NVRTC 1[0-9.]* does not know sm_70; it knows sm_75'
else
    exits 0 "sm_70 by an NVRTC that knows it" 'compile --arch sm_70'
    says 'sm_70 (V100, untested)'
fi
exits 0 "good kernels" 'compile --arch sm_80'
says '4 variants from 5 sources: 4 good, 0 refused, 0 errors; at most 4'
exits 0 "an empty CUDA_HOME is not the end" 'CUDA_HOME=$dir compile --arch sm_80'
exits 0 "the defaults alone" 'compile --arch sm_80 --effort quick'
says '1 variants from 2 sources'
exits 0 "one chip twice" 'compile --arch sm_80,sm_80,sm_90 --effort quick'
says '2 variants from 3 sources'
exits 0 "every variant" 'compile --arch sm_80 --verbose'
says 'fault=0 smem=16 threads=128  *12*.* 16384 '
says 'compute_80 .*PTX of'
exits 1 "a spill, an error, a feature too new" 'compile --arch sm_80,sm_75'
says 'sm_75 .*fault=1 .*: refused: spills [1-9]'
says 'sm_75 .*fault=2 .*: error: templates/cuda/fault.cu(1[0-9]): error'
says 'sm_75 .*fault=3 .*: error: .*sm_90 or higher'
says '11 variants from 12 sources: 8 good, 1 refused, 2 errors; at most 7'
hides 'sm_80 .*fault=1'
exits 0 "JSON" 'compile --arch sm_80 --json --quiet'
says '^{"problem":"recurrent:final:vk:f32/f32:k32v32:g","arch":"compute_80"'
says '"registers":[1-9].*"blocks_per_sm":16.*"in_flight_bytes":131072'
hides '^[^{]'
exits 1 "JSON has what was refused" 'compile --arch sm_75 --json 2>/dev/null'
says '"outcome":"refused","reason":"spills [0-9]* bytes of a thread"'
says '"outcome":"error"'
exits 1 "no kernel at all" \
    'rm $planted/cuda/fault.lua; compile --arch sm_80'
says 'sm_80 .*: no variant is good'
echo "1..$n"
exit $failed

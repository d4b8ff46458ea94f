# A whole run of gdr-tune on a card that is not there: the fake driver computes
# what NVRTC compiled, and variants fail in every way. TAP, run by prove.
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export LD_LIBRARY_PATH="$PWD/$build/tests/fake"
export FAKE_CUDA='devices=2,clock=script:5,skip=1'
problem='recurrent:final:kv:f32/f32:k16v16:g / b1t1hk1hv1'
n=0
failed=0

check() {
    n=$((n + 1))
    if [ "$2" = 0 ]; then
        echo "ok $n - $1"
    else
        failed=1
        echo "not ok $n - $1"
        sed 's/^/# /' "$dir/log"
    fi
}
tune() {
    "$build/gdr-tune" --db "$dir/gdr.db" --templates tests/faults/card \
        --only "$problem" --effort quick "$@" >"$dir/log" 2>&1
}
says() {
    grep -q -e "$1" "$dir/log"
}

tune --device cuda:1 --verbose
code=$?
for missing in 'NVRTC' 'built without cuda.h'; do
    if [ $code = 2 ] && says "$missing"; then
        echo "1..0 # SKIP $(head -n 1 "$dir/log")"
        exit 0
    fi
done
check "a run on a card ends with a winner" $code
says 'planted mark=1 twin=1: crash: .*ILLEGAL_ADDRESS'
check "an illegal address is a crash of that variant alone" $?
says 'planted mark=2 twin=1: wrong'
check "a wrong result is found" $?
says 'planted mark=3 twin=1: launch: .*fake-refuse stands in it'
check "an image that the driver refuses is a row" $?
says 'roofline'
check "the winner is compared with a copy" $?

tune --device cuda:1
check "the second run has nothing to do" $?

# With another clock the slow and the noisy are measured as such, and the times
# do not depend on the host.
FAKE_CUDA='clock=script:5,skip=1,slow=1000,noisy=20' tune --device 0 --fresh
check "a slow and noisy card is tuned, too" $?

FAKE_CUDA='clock=script:5,skip=1,oom_after=1' tune --device 0 --fresh
[ $? = 1 ]
check "a card without memory has no winner, and the run ends" $?

FAKE_NVML='64:3:20' tune --device 0 --fresh
code=$?
check "a card that is hot and shared is tuned" $code
says 'other processes compute on Fake H100 80GB (3 of them)'
check "others on the card are told" $?
says 'slowed by heat or a power brake: 19 samples were taken again$'
check "samples of a throttled card are taken again" $?
FAKE_NVML='4:0:0' tune --device 0 --fresh && ! says 'slowed'
check "the power cap is no throttling" $?

FAKE_CUDA='init=34' tune --device 0
[ $? = 2 ] && says 'stub'
check "the toolkit's stub is no driver" $?

if [ "${GDR_THOROUGH:-0}" != 0 ]; then
    # Its 3rd launch never ends, in each worker: ten seconds, then twenty.
    FAKE_CUDA='hang=3' tune --device 0 --fresh --verbose --budget 60
    [ $? = 1 ] && says 'timeout'
    check "a launch that never ends is a timeout" $?
fi
echo "1..$n"
exit $failed

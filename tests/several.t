# Several devices in one command: who does what, whose lines are whose, how it
# ends. On the cpu under two names, then on cards of the fake driver. TAP.
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
tune=$build/gdr-tune
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
statics='recurrent:final:vk:f32/f32:k16v16:g'
n=0
failed=0

# check NAME COMMAND...: it succeeds; else what was said is shown
check() {
    name=$1
    shift
    n=$((n + 1))
    if eval "$*"; then
        echo "ok $n - $name"
    else
        failed=1
        echo "not ok $n - $name"
        echo "# $*"
        sed 's/^/# /' "$dir/log"
    fi
}

# run CODE COMMAND...: what it says is in log
run() {
    want=$1
    shift
    "$@" >"$dir/log" 2>&1
    [ $? = "$want" ]
}

cpu() {
    "$tune" --clock script:3 --templates tests/faults/four --effort quick \
        --only "$statics / b1t1hk1hv2" --only "$statics / b2t1hk1hv2" \
        --only "$statics / b3t1hk1hv2" "$@"
}

winners() {
    "$tune" show --db "$1" --quiet
}

for list in 0, ,0 0,cuda:0; do
    check "--device $list is refused" run 2 "$tune" --device $list
done
check 'one that is not there' run 2 "$tune" --device cpu,abacus
check '... is named' grep -q abacus '"$dir/log"'

check 'two share the problems' run 0 cpu --device cpu,auto --db '"$dir/two.db"'
check '... and say who' \
    '[ $(grep -c "^cpu: $statics" "$dir/log") = 2 ]' '&&' \
    '[ $(grep -c "^auto: $statics" "$dir/log") = 1 ]'
check 'one does all' run 0 cpu --device cpu --db '"$dir/one.db"'
winners "$dir/one.db" >"$dir/one"
winners "$dir/two.db" >"$dir/two"
check '... with the same winners' cmp '"$dir/one"' '"$dir/two"'
check 'nothing is left to do' run 0 cpu --device cpu,auto --db '"$dir/two.db"'
check '... for either' '[ $(grep -c "nothing left to do" "$dir/log") = 2 ]'

(exec "$tune" --device cpu,auto --shapes qwen3.5 --db "$dir/stop.db") \
    >"$dir/log" 2>&1 &
pid=$!
sleep 2
kill -TERM $pid # a job in the background of a script ignores ^C
wait $pid
check 'a signal ends all' "[ $? = 130 ]"
check '... and each says so' '[ $(grep -c "^[a-z]*: interrupted" "$dir/log") = 2 ]'

# ---- cards ----

card() {
    LD_LIBRARY_PATH=$build/tests/fake "$tune" --clock script:3 --effort quick \
        --only "$statics / b1t1hk1hv2" "$@"
}

if "$tune" --compile-only --arch sm_90a --only "$statics / b1t1hk1hv1" \
    >"$dir/log" 2>&1 &&
    LD_LIBRARY_PATH=$build/tests/fake "$tune" --probe cuda:0 \
        >"$dir/log" 2>&1; then
    # The 150th launch of a process breaks its context: the variant that a
    # used worker was judging is judged again in one of its own.
    export FAKE_CUDA=devices=2,poison=150:700
    check 'all cards' run 0 card --device all --only "'$statics / b2t1hk1hv2'" \
        --db '"$dir/cards.db"'
    check '... each with its part' grep -q '"^cuda:0: $statics"' '"$dir/log"' \
        '&&' grep -q '"^cuda:1: $statics"' '"$dir/log"'
    winners "$dir/cards.db" >"$dir/log"
    check '... with figures of the compiler' \
        grep -q '"registers *occupancy"' '"$dir/log"'
    # Every variant breaks it: a death, with the words of the device.
    export FAKE_CUDA=poison=20:700
    check 'a broken context is a death' run 1 card --device cuda:0 \
        --db '"$dir/dead.db"'
    check '... that has a name' grep -q '"crash: CUDA_ERROR_ILLEGAL_ADDRESS"' \
        '"$dir/log"'
    # Not even a default passed: it may have been the machine.
    export FAKE_CUDA=
    check 'where nothing passed, all is tried again' run 0 card \
        --device cuda:0 --db '"$dir/dead.db"'
else
    n=$((n + 1))
    echo "ok $n # SKIP cards: $(head -n 1 "$dir/log")"
fi
echo "1..$n"
exit $failed

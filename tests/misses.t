# gdr-tune --from-misses: what engines wrote is what is tuned next. TAP, run by
# prove.
cd "$(dirname "$0")/.." || exit 1
tune=${BUILD:-build}/gdr-tune
s=recurrent:final:vk:f32/f32:k16v16:g
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

# is NAME STATUS [PATTERN]: the last run's exit code, and a line of its output
is() {
    n=$((n + 1))
    if [ "$status" = "$2" ] && grep -q -- "${3:-}" "$dir/log"; then
        echo "ok $n - $1"
    else
        failed=1
        echo "not ok $n - $1: exit code $status, wanted $2 and '${3:-}'"
        sed 's/^/# /' "$dir/log"
    fi
}

run() {
    "$tune" --device cpu --db "$dir/gdr.db" --from-misses "$dir/misses" "$@" \
        >"$dir/log" 2>&1
    status=$?
}

printf '3 %s / b3t1hk1hv2\n40 %s / b7t1hk1hv2\n2 %s / b3t1hk1hv2\n' \
    $s $s $s >"$dir/misses"
run --effort quick
is "missed problems are tuned" 0
"$tune" show --db "$dir/gdr.db" >"$dir/log" 2>&1
status=$?
is "the first" 0 b3t1hk1hv2
is "and the other" 0 b7t1hk1hv2
run
is "once" 0 'up to date\|nothing\|current'
run --only recurrent:final:vk:f32/f32:k32v32:g
is "--only filters" 2 'no problem left'
printf '3 %s / b3t1hk1hv2\nsoon\n' $s >"$dir/misses"
run
is "a line that is none" 2 "misses:2: not 'COUNT PROBLEM'"
printf '3 %s\n' $s >"$dir/misses"
run
is "a problem without extents" 2 'misses:1: the problem has no extents'
printf '3 recurrent:final:vk:f32/f32:k7v16:g / b1t1hk1hv1\n' >"$dir/misses"
run
is "a problem that is none" 2 'misses:1: '
: >"$dir/misses"
run
is "an empty file" 2 'nothing was missed'
rm "$dir/misses"
run
is "no file" 2 'misses: No such file'
echo "1..$n"
exit $failed

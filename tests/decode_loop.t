# examples/decode_loop: a server's day, on the cpu with and without a table and
# on the fake driver, which captures and replays. TAP, run by prove.
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
layer=recurrent:ring:vk:bf16/bf16:k128v128:l2norm:g:round
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
loop() {
    "$build/examples/decode_loop" "$@" >"$dir/log" 2>&1
}
says() {
    grep -q -e "$1" "$dir/log"
}

loop "$dir/none.db" cpu 3
check "with no table the generic kernel serves" $?
says 'match generic'
check "and says so" $?

"$build/gdr-tune" --device cpu --effort quick --db "$dir/cpu.db" \
    --only "$layer / b1t1hk2hv4" --only "$layer / b4t1hk2hv4" >"$dir/log" 2>&1
check "the layer is tuned" $?
loop "$dir/cpu.db" cpu 48
check "48 layers on the cpu agree with the reference" $?
says 'B = 1: cpu/.*match exact' && says 'B = 2: cpu/.*match near' &&
    says '3 requests in a graph of 4'
check "by plans of their own, padded" $?
GDR_MATCH=exact loop "$dir/none.db" cpu 1
[ $? = 1 ] && says 'no plan of match exact'
check "an operator may insist" $?

# embedded NAME: a program with the table of NAME.db in it, and no SQLite
embedded() {
    "$build/gdr-bundle" build --db "$dir/$1.db" --format c -o "$dir/$1.c" \
        >"$dir/log" 2>&1 &&
        ${CC:-cc} -std=c11 -O1 -Wall -Wextra -Wpedantic -Werror -Iinclude \
            -c "$dir/$1.c" -o "$dir/$1.o" >>"$dir/log" 2>&1 &&
        ${CC:-cc} -std=gnu11 -O1 -Iinclude -DTABLE="gdr_table_$1" \
            examples/decode_loop.c "$dir/$1.o" "$build/libgdr.a" -lsodium \
            -lm -ldl -pthread $SANITIZE -o "$dir/$1" >>"$dir/log" 2>&1
}

embedded cpu
check "the table is linked in, with no SQLite" $?
"$dir/cpu" '' cpu 3 >"$dir/log" 2>&1
check "kernels compiled with the engine agree with the reference" $?
says 'B = 1: cpu/.*match exact' && says 'B = 2: cpu/.*match near'
check "by the same plans" $?

export LD_LIBRARY_PATH="$PWD/$build/tests/fake"
export FAKE_CUDA='devices=1,clock=script:5'
FAKE_CUDA=$FAKE_CUDA,skip=1 "$build/gdr-tune" --device 0 --effort quick --db "$dir/card.db" \
    --only "$layer / b1t1hk2hv4" --only "$layer / b4t1hk2hv4" >"$dir/log" 2>&1
code=$?
for missing in 'NVRTC' 'built without cuda.h'; do
    if [ $code = 2 ] && says "$missing"; then
        echo "ok $((n + 1)) # SKIP $(head -n 1 "$dir/log")"
        echo "1..$((n + 1))"
        exit $failed
    fi
done
check "the layer is tuned for the fake card" $code
loop "$dir/card.db" cuda:0 2
check "captured graphs agree with the reference" $?
says 'B = 1: cuda/.*match exact'
check "by the card's own plans" $?
embedded card
check "the card's table is linked in" $?
"$dir/card" '' cuda:0 2 >"$dir/log" 2>&1
check "graphs of its images agree with the reference" $?
says 'B = 1: cuda/.*match exact'
check "by the same plans" $?
"$dir/card" '' cpu 2 >"$dir/log" 2>&1 && says 'match generic'
check "and the cpu has none there" $?
echo "1..$n"
exit $failed

# Every variant of the cuda templates with no card: compiled by NVRTC for seven
# architectures, and run by the emulator, checked. The list is smoke, and all in
# check-all. TAP, run by prove.
cd "$(dirname "$0")/.." || exit 1
tune=${BUILD:-build}/gdr-tune
archs=sm_75,sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a
list=smoke
[ "${GDR_THOROUGH:-0}" = 0 ] || list=all
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

# passes NAME COMMAND...: exit code 0, and its last lines for a person
passes() {
    name=$1
    shift
    n=$((n + 1))
    if "$@" >"$dir/log" 2>&1; then
        echo "ok $n - $name"
        tail -n 12 "$dir/log" | sed 's/^/# /'
    else
        echo "not ok $n - $name: exit code $?"
        failed=1
        { # prove shows this one
            echo "# $*"
            tail -n 40 "$dir/log" | sed 's/^/# /'
        } >&2
    fi
}

compile() {
    "$tune" --compile-only --arch "$archs" --shapes $list --quiet
}

emulate() {
    "$tune" --device "emu:$1" --shapes $list --db "$dir/$1.db"
}

# Exit code 2: nothing here can compile.
"$tune" --compile-only --arch sm_90a --only \
    'recurrent:final:vk:f32/f32:k16v16:g / b1t1hk1hv1' >"$dir/log" 2>&1
if [ $? != 2 ]; then
    passes "every variant of $list compiles for $archs" compile
else
    n=$((n + 1))
    echo "ok $n # SKIP $(head -n 1 "$dir/log")"
fi
# One architecture for each set of instructions: sm_86 and sm_89 have sm_80's,
# sm_100a and sm_120a are given sm_90's.
for arch in sm_75 sm_80 sm_90a; do
    passes "every variant of $list is clean on emu:$arch" emulate $arch
done
# What smoke has no problem for: tensor cores.
mma='recurrent:final:vk:bf16/bf16:k64v40:l2norm:g / b1t1hk1hv1'
passes "tensor cores: every variant of $mma is clean on emu:sm_90a" \
    "$tune" --device emu:sm_90a --only "$mma" --db "$dir/mma.db"
echo "1..$n"
exit $failed

# gdr-bundle: what ships is what was tuned, whole, the same every time, and
# refused with a reason when it is not. TAP, run by prove.
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
s=recurrent:final:vk:f32/f32:k16v16:g
other=recurrent:final:kv:f32/f32:k16v16:g
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

# is NAME STATUS [PATTERN]: the last run's exit code, and a line of its output
is() {
    n=$((n + 1))
    if [ "$status" = "$2" ] && { [ -z "${3:-}" ] ||
        grep -q -e "$3" "$dir/log"; }; then
        echo "ok $n - $1"
    else
        failed=1
        echo "not ok $n - $1: exit code $status, wanted $2 and '${3:-}'"
        sed 's/^/# /' "$dir/log"
    fi
}
run() {
    "$@" >"$dir/log" 2>&1
    status=$?
}
bundle() {
    run "$build/gdr-bundle" "$@"
}

run "$build/gdr-tune" --device cpu --effort quick --db "$dir/gdr.db" \
    --only "$s / b2t1hk1hv2" --only "$s / b8t1hk1hv2" --only "$other / b2t1hk1hv2"
is "a database is tuned" 0
bundle build --db "$dir/gdr.db" -o "$dir/a.gdrb"
is "a bundle is built" 0 'plans.*digest'
bundle build --db "$dir/gdr.db" -o "$dir/b.gdrb"
run cmp "$dir/a.gdrb" "$dir/b.gdrb"
is "the same rows give the same bytes" 0
run sh -c "[ $(wc -c <"$dir/a.gdrb") -lt $(wc -c <"$dir/gdr.db") ]"
is "it is smaller than the database" 0
run sh -c "ls -l '$dir/a.gdrb' | cut -c1-10"
is "and read-only" 0 '^-r--r--r--'
bundle verify "$dir/a.gdrb"
is "it verifies" 0 'plans'
bundle verify --json "$dir/a.gdrb"
is "as JSON, too" 0 '"plans":'
run "$build/gdr-tune" explain "$s / b2t1hk1hv2" --device cpu --db "$dir/a.gdrb"
is "what was tuned is found in it" 0 'exact: '
run "$build/gdr-tune" explain "$s / b3t1hk1hv2" --device cpu --db "$dir/a.gdrb"
is "and what lies between" 0 'near: '
bundle show "$dir/a.gdrb"
is "show reads it" 0 "$s"
bundle show --json "$dir/a.gdrb"
is "as JSON, too" 0 '"problem":'
bundle show "$dir/none.gdrb"
is "nothing to show" 2 'none.gdrb'
bundle build --db "$dir/gdr.db" -o "$dir/a.gdrb"
is "a file that is there stays" 2 'is there already'
bundle build --db "$dir/gdr.db" -o "$dir/a.gdrb" --only $other --force
is "unless it may go" 0
run "$build/gdr-tune" show --db "$dir/a.gdrb"
if grep -q "$s" "$dir/log"; then status=9; fi
is "--only keeps one problem" 0 "$other"
bundle build --db "$dir/gdr.db" -o "$dir/c.gdrb" --only recurrent:final:vk:f32/f32:k32v32:g
is "nothing is no bundle" 1 'no winner and no default is left'
run sh -c "ls '$dir' | grep -c gdrb"
is "and leaves no file" 0 '^2$'
arch=$(uname -m | sed 's/_/-/')
bundle build --db "$dir/gdr.db" -o "$dir/c.gdrb" --arch "$arch,sm_1"
is "an arch that is none" 2 "has nothing for sm_1, .* it has: $arch"
bundle build --db "$dir/gdr.db" -o "$dir/c.gdrb" --arch "$arch"
is "one that was" 0
mkfifo "$dir/fifo"
bundle build --db "$dir/gdr.db" -o "$dir/fifo" --force
is "nothing but a file is replaced" 2 'is not a file'
mkdir "$dir/file" && touch "$dir/file/there"
bundle build --db "$dir/gdr.db" -o "$dir/file/there/c.gdrb"
is "a place that is none" 2 'file/there'
bundle build --db "$dir/none.db" -o "$dir/d.gdrb"
is "no database" 2 'none.db'
bundle build --db "$dir/gdr.db"
is "no name" 2 '-o FILE is missing'
bundle build --db "$dir/gdr.db" -o "$dir/d.gdrb" --only "$s / b1t1hk1hv1"
is "extents make no bundle" 2 'without extents'
bundle verify "$dir/none.gdrb"
is "nothing to verify" 2 'none.gdrb'

# Cards that nobody has: compiled, and marked as such.
bundle build --db "$dir/gdr.db" -o "$dir/cards.gdrb" --arch "$arch,sm_80,sm_90" \
    --only $s
if [ $status = 2 ] && grep -q -e NVRTC -e 'nvrtc.h' "$dir/log"; then
    n=$((n + 1))
    echo "ok $n # SKIP $(head -n 1 "$dir/log")"
else
    is "defaults are compiled for cards that were not tuned" 0 'plans'
    bundle verify "$dir/cards.gdrb"
    is "and verify" 0
    bundle build --db "$dir/gdr.db" -o "$dir/new.gdrb" --arch sm_90 \
        --only recurrent:final:vk:f32/f32:k32v32:g
    is "of problems that were tuned nowhere, too" 0 'plans.*digest'
    ls "$dir" >"$dir.before"
    "$build/gdr-bundle" build --db "$dir/gdr.db" -o "$dir/cut-short.gdrb" \
        --arch sm_75,sm_80,sm_89,sm_90a,sm_100a --shapes qwen3.5 >/dev/null 2>&1 &
    pid=$!
    for i in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.2
        ls "$dir" | grep -q 'cut-short.gdrb.copy-' && break
    done
    kill -TERM $pid
    wait $pid
    run sh -c "ls '$dir' | diff '$dir.before' -"
    rm -f "$dir.before"
    is "what is interrupted leaves nothing behind" 0
    run sh -c "ls '$dir' | grep copy"
    is "and leave no copy" 1
    run env LD_LIBRARY_PATH="$PWD/$build/tests/fake" FAKE_CUDA=devices=1 \
        "$build/gdr-tune" explain "$s / b2t1hk1hv2" --device cuda:0 \
        --db "$dir/cards.gdrb"
    is "such a card gets a default" 0 'match *default: '
    run env LD_LIBRARY_PATH="$PWD/$build/tests/fake" FAKE_CUDA=devices=1,cc=120 \
        "$build/gdr-tune" explain "$s / b2t1hk1hv2" --device cuda:0 \
        --db "$dir/cards.gdrb"
    is "and a newer one PTX" 0 'match *ptx: '
    # the fake driver computes cubins, not PTX
    env LD_LIBRARY_PATH="$PWD/$build/tests/fake" FAKE_CUDA=devices=1 \
        "$build/gdr-bundle" verify --run "$dir/cards.gdrb" >"$dir/out" 2>&1
    run grep '^ok on cuda:0: cuda/' "$dir/out"
    is "each code runs where it can" 0
    run grep '^ok on cpu: ' "$dir/out"
    is "on every device that is here" 0
    run tail -n 1 "$dir/out"
    is "others wait for a device of theirs" 0 '[1-9][0-9]* codes that no device'
    run "$build/gdr-tune" explain "$s / b2t1hk1hv2" --device cpu \
        --db "$dir/cards.gdrb"
    is "the cpu keeps what was tuned" 0 'exact: '
fi

# Fewer codes, at a price that is told.
three=recurrent:final:vk:f32/f32:k16v16:g
bundle build --db "$dir/gdr.db" --only $three --max-kernels 1 --json \
    -o "$dir/few.gdrb"
is "one kernel serves all of a problem" 0 '"codes":[12],"tuned":2'
bundle build --db "$dir/gdr.db" --max-regret 1000% -o "$dir/slow.gdrb"
is "any regret" 0 'plans'
bundle verify "$dir/slow.gdrb"
is "is a bundle" 0
bundle build --db "$dir/gdr.db" --max-regret much -o "$dir/g.gdrb"
is "a regret that is none" 2 '0% to 1000%'
bundle build --db "$dir/gdr.db" --max-kernels 0 -o "$dir/g.gdrb"
is "no kernels" 2 '1 to 1000 is needed'

bundle build --db "$dir/gdr.db" --shapes qwen3.5 -o "$dir/shapes.gdrb"
is "none of a list was tuned" 1 'no winner and no default is left'
bundle build --db "$dir/gdr.db" --shapes qwen3.5 --only $s -o "$dir/shapes.gdrb"
is "what a list lacks is told" 0 'asked for are not in it; the first: recurrent:'
bundle build --db "$dir/gdr.db" --shapes no-such-list -o "$dir/shapes.gdrb"
is "no such list" 2 'no-such-list'

# Right where it was tuned: right here?
bundle verify --run "$dir/b.gdrb"
is "each code is checked again" 0 '^[0-9]* codes: [1-9][0-9]* checks, 0 failed; 0 codes'
bundle verify --run --json "$dir/b.gdrb"
is "as JSON, too" 0 '"outcome":"ok"'
bundle verify --device cuda:7 "$dir/b.gdrb"
is "a device that is not here" 2 ''
cat >"$dir/swap.py" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
image = "select image from step join variant on hash = variant where statics like "
one, two = (db.execute(image + like).fetchone()[0] for like in ("'%:vk:%'", "'%:kv:%'"))
db.execute("update step set image = ? where image = ?", (two, one))
db.commit()
END
cp "$dir/b.gdrb" "$dir/swapped.gdrb" && chmod 644 "$dir/swapped.gdrb"
run python3 "$dir/swap.py" "$dir/swapped.gdrb"
bundle verify "$dir/swapped.gdrb"
is "code of another problem has good hashes" 0
bundle verify --run "$dir/swapped.gdrb"
is "and wrong results" 1 '^wrong on cpu: cpu/recurrent .*expected'

# C source, for engines that link everything. decode_loop.t compiles it.
bundle build --db "$dir/gdr.db" --format c -o "$dir/my-table.c"
is "a bundle as C source" 0 'my-table.c: [0-9]* plans, [0-9]* codes, [0-9.]* KiB, extern const gdr_embedded gdr_table_my_table;$'
cp "$dir/my-table.c" "$dir/was.c"
bundle build --db "$dir/gdr.db" --format c -o "$dir/my-table.c"
is "a file that is there stays" 2 'is there already'
bundle build --db "$dir/gdr.db" --format c -o "$dir/my-table.c" --force
run cmp "$dir/my-table.c" "$dir/was.c"
is "the same rows give the same source" 0
run grep -c '^const gdr_embedded gdr_table_my_table = {' "$dir/my-table.c"
is "with one table, named like the file" 0 '^1$'
bundle build --db "$dir/gdr.db" --format c --sign "$dir/no.key" -o "$dir/s.c"
is "source is not signed" 2 'C source is not signed'
bundle build --db "$dir/gdr.db" --format elf -o "$dir/s.c"
is "other formats" 2 'db or c is needed'
bundle build --db "$dir/gdr.db" --format c -o "$dir/int.c"
run grep -c '^const gdr_embedded gdr_table_int = {' "$dir/int.c"
is "a word of C is no name for it" 0 '^1$'
cat >"$dir/inject.py" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("update step set %s = ?" % sys.argv[2], (sys.argv[3],))
db.commit()
END
cp "$dir/gdr.db" "$dir/bad.db"
python3 "$dir/inject.py" "$dir/bad.db" entry 'x(); abort(); //'
bundle build --db "$dir/bad.db" --format c -o "$dir/bad.c"
is "an entry is not taken for C" 1 'odd characters'
cp "$dir/gdr.db" "$dir/bad.db"
python3 "$dir/inject.py" "$dir/bad.db" isa 'avx")
#error "x'
bundle build --db "$dir/bad.db" --format c -o "$dir/bad.c"
is "nor an instruction set" 1 'odd characters'
mkdir -p "$dir/own/cpu"
{ cat templates/cpu/recurrent.c; echo '/* ours */'; } >"$dir/own/cpu/recurrent.c"
"$build/gdr-tune" --device cpu --effort quick --db "$dir/own.db" --quiet \
    --templates "$dir/own" --only "$s / b2t1hk1hv2" >/dev/null 2>&1
bundle build --db "$dir/own.db" --format c -o "$dir/s.c"
is "kernels of other templates have no source here" 2 'made from other templates'

# What another file would change.
bundle diff "$dir/b.gdrb" "$dir/gdr.db"
is "a bundle does what its database does" 0 '^0 plans differ'
bundle diff "$dir/b.gdrb" "$dir/a.gdrb"
is "one problem alone lacks the others" 1 "^- $s / b2t1hk1hv2 on cpu:.*: cpu/"
bundle diff --json "$dir/a.gdrb" "$dir/b.gdrb"
is "as JSON, too" 1 '"before":null,"after":"cpu/'
cp "$dir/b.gdrb" "$dir/colour.gdrb" && chmod 644 "$dir/colour.gdrb"
run python3 - "$dir/colour.gdrb" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("update variant set config = config || char(27) || '[2J'")
db.commit()
END
bundle diff "$dir/colour.gdrb" "$dir/a.gdrb"
if grep -q "$(printf '\033')" "$dir/log"; then status=9; fi
is "what a stranger wrote moves no cursor" 1 '?\[2J'
bundle diff "$dir/b.gdrb" "$dir/none.gdrb"
is "nothing to compare with" 2 'none.gdrb'

# One file from several.
bundle build --db "$dir/gdr.db" -o "$dir/one.gdrb" --only $s
bundle merge "$dir/one.gdrb" "$dir/a.gdrb" -o "$dir/both.gdrb"
is "bundles are merged" 0 'plans'
bundle diff "$dir/b.gdrb" "$dir/both.gdrb"
is "their parts give the whole" 0 '^0 plans differ'
bundle merge "$dir/one.gdrb" "$dir/gdr.db" "$dir/a.gdrb" -o "$dir/both.gdrb" --force
bundle diff "$dir/b.gdrb" "$dir/both.gdrb"
is "databases, too" 0 '^0 plans differ'
bundle merge "$dir/one.gdrb" "$dir/none.gdrb" -o "$dir/m.gdrb"
is "a file that is not there" 2 'none.gdrb'
bundle merge "$dir/one.gdrb" "$dir/a.gdrb"
is "no name for it" 2 '-o FILE is missing'
bundle merge "$dir/one.gdrb" "$dir/a.gdrb" -o "$dir/m.gdrb" --max-regret 5%
is "trials stay behind" 2 'has no trials'

# Words that make no sense are told, and change nothing.
bundle
is "no command" 2 'a command is missing'
bundle burn "$dir/a.gdrb"
is "another command" 2 'burn: no such command'
bundle verify "$dir/a.gdrb" "$dir/b.gdrb"
is "too many files" 2 'verify takes one file, not 2'
bundle verify --arch sm_90a "$dir/a.gdrb"
is "an option of another command" 2 '\-\-arch: verify does not take it'
bundle merge "$dir/a.gdrb" "$dir/b.gdrb" --db x -o "$dir/m3.gdrb"
is "another one" 2 '\-\-db: merge does not take it'
bundle merge "$dir/a.gdrb" "$dir/b.gdrb"
is "no output" 2 'o FILE is missing'
bundle build --db "$dir/gdr.db" --max-regret 5 -o "$dir/m3.gdrb"
is "a regret that is 5 % or 500 %" 2 '0% to 1000%'
bundle build --db "$dir/gdr.db" -o "$dir/none/m3.gdrb"
is "a folder that is not there" 2 'none/: No such file'
bundle keygen ""
is "keys without a name" 2 'a name for the files'
run ls "$dir/none" "$dir/m3.gdrb"
is "and nothing is made" 2

# Who vouches for it. What others can write is taken by its signature alone.
run sh -c "cd '$dir' && '$PWD/$build/gdr-bundle' keygen us &&
    '$PWD/$build/gdr-bundle' keygen them"
is "keys are made" 0 'us.key'
run sh -c "cd '$dir' && '$PWD/$build/gdr-bundle' keygen us"
is "once" 2 'us.key: File exists'
touch "$dir/half.pub"
run sh -c "cd '$dir' && '$PWD/$build/gdr-bundle' keygen half || ls half.key"
is "in pairs" 2 'half.pub: File exists'
run sh -c "ls -l '$dir/us.key' | cut -c1-10"
is "the secret is the owner's alone" 0 '^-rw-------'
bundle build --db "$dir/gdr.db" --sign "$dir/us.key" -o "$dir/signed.gdrb"
is "a bundle is signed" 0
bundle verify --verify-key "$dir/us.pub" "$dir/signed.gdrb"
is "and verifies by the key" 0
bundle verify --verify-key "$dir/them.pub" "$dir/signed.gdrb"
is "not by another" 1 'has no signature by the key'
bundle verify --verify-key "$dir/us.pub" "$dir/b.gdrb"
is "one that nobody signed is refused where a key is asked for" 1 'no signature'
chmod 666 "$dir/signed.gdrb"
bundle verify "$dir/signed.gdrb"
is "others can write it" 1 'everybody may write'
bundle verify --verify-key "$dir/us.pub" "$dir/signed.gdrb"
is "the signature makes up for that" 0
run env GDR_VERIFY_KEY="$dir/us.pub" GDR_MATCH=exact \
    "$build/examples/decode_loop" "$dir/signed.gdrb" cpu 1
is "for libgdr, which then lacks that layer alone" 1 'no plan of match exact'
bundle show --verify-key "$dir/us.pub" "$dir/signed.gdrb"
is "it is shown by that, too" 0 "$s"
bundle show --verify-key "$dir/us.pub" "$dir/b.gdrb"
is "and what has none is not" 1 'no signature'
bundle merge --verify-key "$dir/us.pub" "$dir/signed.gdrb" "$dir/b.gdrb" \
    -o "$dir/m2.gdrb"
is "nor merged" 1 'b.gdrb: has no signature'
bundle merge --verify-key "$dir/us.pub" "$dir/signed.gdrb" "$dir/signed.gdrb" \
    -o "$dir/m2.gdrb"
is "those that are signed are" 0
bundle verify --verify-key "$dir/us.pub" "$dir/m2.gdrb"
is "which signs nothing" 1 'no signature'
bundle build --db "$dir/gdr.db" --sign "$dir/us.pub" -o "$dir/e.gdrb"
is "a public key signs nothing" 2 'not a key of 128 hex digits'
bundle verify --verify-key "$dir/none.pub" "$dir/signed.gdrb"
is "a key that is not there" 2 'none.pub'

# Damage of every kind is told, and is never served.
head -c 20000 "$dir/c.gdrb" >"$dir/cut.gdrb"
bundle verify "$dir/cut.gdrb"
is "a bundle that is cut off" 1 'damaged'
echo 'not a database at all, but long enough to be one' >"$dir/text.gdrb"
bundle verify "$dir/text.gdrb"
is "another file" 1 'text.gdrb'
cp "$dir/c.gdrb" "$dir/open.gdrb"
chmod 666 "$dir/open.gdrb"
bundle verify "$dir/open.gdrb"
is "one that others can write" 1 'everybody may write'
echo "1..$n"
exit $failed

# gdr-tune as a shell sees it: exit codes, output that cannot be written,
# signals. TAP, run by prove.
cd "$(dirname "$0")/.." || exit 1
tune=${BUILD:-build}/gdr-tune
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
problem='recurrent:final:vk:f32/f32:k16v16:g / b1t1hk1hv2'
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

# A short run; takes the shell's place.
scripted() {
    db=$1
    shift
    exec "$tune" --db "$db" --clock script:1 --device cpu --effort quick \
        --templates tests/faults/four --only "$problem" "$@"
}

# As nohup does: hangs up on a run, and again, until it ends; its exit code.
ignoring_hang_up() {
    trap '' HUP
    "$@" &
    pid=$!
    while sleep 0.2 && kill -HUP $pid 2>/dev/null; do :; done
    wait $pid
}

exits 0 "help" '$tune --help'
exits 0 "a run" 'scripted $dir/a.db'
exits 0 "nothing left, output closed" 'scripted $dir/a.db >&- 2>&- <&-'
exits 0 "JSON has the winners that were there before" 'scripted $dir/a.db --json'
says '^{"problem":"recurrent:final:vk:f32/f32:k16v16:g / b1t1hk1hv2"'
exits 0 "all is closed" 'scripted $dir/b.db >&- 2>&- <&-'
exits 0 "an ignored hang-up stays ignored" 'ignoring_hang_up scripted $dir/c.db'
if [ -w /dev/full ]; then
    exits 2 "help to a full disk" '$tune --help >/dev/full'
    exits 2 "version to a full disk" '$tune --version >/dev/full'
    exits 2 "show to a full disk" '$tune show --db $dir/a.db >/dev/full'
    says 'standard output'
    exits 2 "JSON to a full disk" 'scripted $dir/d.db --json >/dev/full'
    exits 2 "explain to a full disk" \
        '$tune explain "$problem" --db $dir/a.db >/dev/full'
fi
exits 2 "help to a closed output" '$tune --help >&-'
exits 2 "show to a closed output" '$tune show --db $dir/a.db >&-'
exits 2 "a folder is no database" '$tune show --db /'
exits 2 "a message names the database once" 'scripted /'
says '^gdr-tune: /: [^/]'
echo "1..$n"
exit $failed

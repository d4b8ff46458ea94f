#!/bin/sh
# pack.t - generator/pack.lua: any text comes out of the C table byte for byte,
# whatever the order of the files; a mistake leaves the old output alone.
set -u
cd "$(dirname "$0")/.." || exit 1
lua=${LUA:-lua5.4}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0

check() { # name, command...
    n=$((n + 1))
    name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        sed 's/^/# /' "$dir/log"
    fi
}

fails() {
    ! "$@"
}

pack() {
    "$lua" generator/pack.lua "$@"
}

cat >"$dir/show.c" <<'EOF'
#include <stdio.h>
#include "packed.c"
int main(int argc, char **argv)
{
    const struct gdr_packed_file *f = NAME;
    for (; argc > 1 && f->name; f++)
        puts(f->name);
    for (; argc == 1 && f->name; f++)
        fwrite(f->text, 1, f->bytes, stdout);
    (void)argv;
    return 0;
}
EOF

show() { # symbol
    ${CC:-cc} -Wall -Wextra -Werror -DNAME="$1" -o "$dir/show" "$dir/show.c" &&
        "$dir/show" >"$dir/got"
}

printf 'a "quoted" \\ back\\n %%d ??/ ??= \t tab\r\n\001\0771\377x\n' >"$dir/a.c"
: >"$dir/b.c"
printf 'no newline at the end' >"$dir/c.c"
printf 'nul\0in\0it' >"$dir/d.c"
cat "$dir"/[a-d].c >"$dir/wanted"

echo 1..7
check "packs" pack "$dir/packed.c" "$dir/d.c" "$dir/a.c" "$dir/c.c" "$dir/b.c"
check "compiles without a warning" show gdr_packed_files
check "gives every byte back, sorted by name" cmp "$dir/wanted" "$dir/got"
cp "$dir/packed.c" "$dir/old.c"
pack "$dir/packed.c" "$dir/a.c" "$dir/a.c" "$dir/b.c" "$dir/c.c" "$dir/d.c"
check "does not depend on order or repetition" \
    cmp "$dir/old.c" "$dir/packed.c"
check "fails for a missing file" fails pack "$dir/packed.c" "$dir/none.c"
check "and leaves the output alone" cmp "$dir/old.c" "$dir/packed.c"
pack --symbol other "$dir/packed.c" "$dir/a.c"
check "names the table as asked" show other

# Who may include whom: data flows one way. TAP, run by prove.
#
#   db -> include          runtime -> include, and db in open.c alone
#   generator -> include   tuner -> all of them
#   nobody includes tuner or tests; lua.h, sqlite3.h, cuda headers in one room
cd "$(dirname "$0")/.." || exit 1
n=0
failed=0

# check NAME OFFENDERS: passes when the second argument is empty
check() {
    n=$((n + 1))
    if [ -z "$2" ]; then
        echo "ok $n - $1"
    else
        failed=1
        echo "not ok $n - $1"
        echo "$2" | sed 's/^/# /'
    fi
}

# offenders PATTERN FILES...: include lines that match, with file:line
offenders() {
    pattern=$1
    shift
    grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$pattern" "$@" \
        /dev/null
}
sources() {
    for room in "$@"; do
        find "$room" -name '*.[ch]'
    done
}

check "db sees include alone" \
    "$(offenders '[^">]*(runtime|generator|tuner|tests|bench)/' $(sources db))"
check "runtime sees include and itself; open.c sees db" \
    "$(offenders '[^">]*(generator|tuner|tests|bench|db)/' \
        $(sources runtime | grep -v '^runtime/open\.c$'))"
check "open.c sees neither generator nor tuner" \
    "$(offenders '[^">]*(generator|tuner|tests|bench)/' runtime/open.c)"
check "generator sees include and itself" \
    "$(offenders '[^">]*(runtime|db|tuner|tests|bench)/' $(sources generator))"
check "nobody but tests and bench sees tuner" \
    "$(offenders '[^">]*(tuner|tests|bench)/' \
        $(sources include runtime db generator))"
check "tuner does not see tests or bench" \
    "$(offenders '[^">]*(tests|bench)/' $(sources tuner))"
check "the public headers include the standard library and each other" \
    "$(offenders '"' include/*.h | grep -v '"gdr.h"')"
check "lua.h stays in generator" \
    "$(offenders '(lua|lualib|lauxlib)\.h' \
        $(sources include runtime db tuner tests bench examples))"
check "sqlite3.h stays in db" \
    "$(offenders 'sqlite3\.h' \
        $(sources include runtime generator tuner bench examples))"
check "cuda headers stay in the cuda files and the fake driver" \
    "$(offenders '(cuda|nvrtc|nvml)[a-z_]*\.h>' \
        $(sources include runtime db generator tuner tests bench examples |
            grep -vE '^(runtime/(cuda_driver|device_cuda)|tuner/(target_cuda|compile_nvrtc)|tests/fake/)')
    )"

# A planted offender must be found, or the checks above prove nothing.
planted=$(mktemp)
printf '#include "../tuner/race.h"\n' >"$planted"
check "a planted include is found" \
    "$([ -n "$(offenders '[^">]*(tuner|tests)/' "$planted")" ] || echo missed)"
rm -f "$planted"

for std in "gcc -std=c11 -x c" "g++ -std=c++17 -x c++"; do
    # shellcheck disable=SC2086
    command -v ${std%% *} >/dev/null 2>&1 || {
        n=$((n + 1))
        echo "ok $n # SKIP no ${std%% *}"
        continue
    }
    for header in include/*.h; do
        check "${header##*/} compiles alone: $std" \
            "$($std -Wall -Wextra -Werror -fsyntax-only "$header" 2>&1 |
                grep -v 'pragma once')"
    done
done
echo "1..$n"
exit $failed

#!/usr/bin/env bats
# bats file_tags=once
# The fuzzers, for a short while and the same each time; `make fuzz` runs them as long as one likes.
# That they do find something is seen on parsers that are broken on purpose.

setup_file() {
    export ROOT
    ROOT=$(cd -- "$BATS_TEST_DIRNAME/.." && pwd)
    unset MAKEFLAGS MFLAGS MAKELEVEL SANITIZE BUILD
    mkdir -p "$ROOT/build"
    flock "$ROOT/build/.lock" make -s -j2 -C "$ROOT" BUILD=build/fuzz CC=clang \
        SANITIZE=fuzzer-no-link,address,undefined fuzzers
}

# fuzz NAME [RUNS]
fuzz() {
    FOUND=$BATS_TEST_TMPDIR RUNS=${2:-3000} run "$ROOT/tests/fuzz/run" "$1"
    echo "$output"
}

@test "each fuzzer has a dictionary, seeds, and nothing is left of one that is gone" {
    cd "$ROOT/tests/fuzz"
    local fuzzers
    fuzzers=$(printf '%s\n' fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
    [[ $(basename -s .dict -- *.dict) == "$fuzzers" ]]
    [[ $(ls corpus) == "$fuzzers" ]]
    [[ -z $(comm -13 <(echo "$fuzzers") <(ls regressions)) ]]
    (($(find corpus regressions -type f | wc -l) < 200))
    [[ -z $(find corpus regressions -type d -empty) ]]
}

@test "the seeds, every input that once broke something, and some thousand new ones do no harm" {
    local source name
    for source in "$ROOT"/tests/fuzz/fuzz_*.c; do
        name=$(basename "${source#*/fuzz_}" .c)
        fuzz "$name"
        [[ $status == 0 && $output == *'DONE'* ]] || return 1
    done
}

# Runs a fuzzer that was linked with a file of src that sed has changed.
broken() {
    local name=$1 file=$2 change=$3
    sed "$change" "$ROOT/src/$file" >"$BATS_TEST_TMPDIR/$(basename "$file")"
    ! cmp -s "$ROOT/src/$file" "$BATS_TEST_TMPDIR/$(basename "$file")" || return 1
    # A tree that differs by this one file; what is built already is linked, not built again.
    local tree=$BATS_TEST_TMPDIR/$name
    mkdir -p "$tree/tests" "$tree/build"
    cp -rp "$ROOT/Makefile" "$ROOT/src" "$ROOT/web" "$tree"
    cp -rp "$ROOT/tests/fuzz" "$tree/tests"
    cp -rp "$ROOT/build/fuzz" "$tree/build"
    cp "$BATS_TEST_TMPDIR/$(basename "$file")" "$tree/src/$file"
    make -s -C "$tree" BUILD=build/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined \
        "build/fuzz/fuzzers/$name"
    FOUND=$BATS_TEST_TMPDIR RUNS=100000 run "$tree/tests/fuzz/run" "$name"
    echo "$output" | tail -n 30
    [[ $status == 1 && $output == *'Test unit written to'* ]] || return 1
    rm -rf "$tree"
}

@test "a payload unmasked wrongly is found" {
    broken ws wire/ws.c 's/key + n % 4/key + n % 8 % 4 + (n > 9)/'
}

@test "a field read past the end of its message is found" {
    broken ipc ipc/ipc.c 's/r->bad || n > max ||/r->bad || n > max + 4000000000u ||/; s/(size_t)(r->end - r->p) < n) {/(size_t)(r->end - r->p) + 1 < n) {/'
}

@test "an id that may be empty is found" {
    broken chat_frame wire/chat_frame.c 's/id.n >= 1 && //'
}

@test "an escape in JSON that json-c does not take is found" {
    broken json wire/json.c 's/bfnrt"/bfnrtv"/'
}

@test "a quote that the configuration writes and does not read is found" {
    broken conf conf/conf.c "s/if (\*text == '\"' || /if (/"
}

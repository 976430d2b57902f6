#!/usr/bin/env bats
# bats file_tags=once
# What the analysers say of the sources and scripts: nothing.

load lib/server

@test "gcc's analyzer, clang-tidy, cppcheck and shellcheck find nothing" {
    unset MAKEFLAGS MFLAGS MAKELEVEL SANITIZE BUILD
    run make -s -k -C "$ROOT" analyze
    echo "$output"
    [[ $status == 0 && $output != *warning:* ]]
}

@test "each of them would: a defect of its kind is found" {
    local tree=$BATS_TEST_TMPDIR/tree
    mkdir -p "$tree/src/lib"
    cp -r "$ROOT/Makefile" "$ROOT/.clang-tidy" "$ROOT/tests" "$tree"
    printf '%s\n' '/* Defects. */' '#include <stdlib.h>' 'int defects(int n);' 'int defects(int n)' \
        '{' '    int *p = malloc(4);' '    free(p);' '    int a[2] = {0};' \
        '    if (n > 2)' '        return a[n > 2 ? 3 : 0];' '    return *p;' '}' >"$tree/src/lib/defects.c"
    local analysis
    for analysis in lib/defects.gcc lib/defects.tidy cppcheck; do
        run make -s -C "$tree" "build/analysis/$analysis"
        echo "$output"
        [[ $status != 0 && ! -e $tree/build/analysis/$analysis ]] || fail "$analysis found nothing"
    done
    printf '%s\n' '#!/bin/bash' 'cd $1' >"$tree/tests/defects"
    run "$tree/tests/analysis/shell"
    echo "$output"
    [[ $status != 0 && $output == *SC2086* ]]
}

@test "what .clang-tidy leaves out stands in it with its reason" {
    local checks reasons
    checks=$(sed -n 's/^  -\([^,]*\),\{0,1\}$/\1/p' "$ROOT/.clang-tidy")
    reasons=$(sed -n 's/^#   \([^:]*\): ..*$/\1/p' "$ROOT/.clang-tidy")
    [[ -n $checks && $checks == "$reasons" ]]
}

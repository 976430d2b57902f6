#!/usr/bin/env bats
# bats file_tags=once
#
# What .ci/run makes of its steps. It has nothing to do with how chatd was built.

ROOT=$(cd -- "$BATS_TEST_DIRNAME/.." && pwd)

# ci STATUS 'N passed, N failed' STEP ...: what it ends with, and that no other line looks like that.
ci() {
    local want=$1 line=$2
    shift 2
    run "$ROOT/.ci/run" "$@"
    echo "$status: $output"
    [[ $status == "$want" && ${lines[-1]} == "$line" ]]
    [[ $(printf '%s\n' "${lines[@]}" | grep -cE '^[0-9]+ passed, [0-9]+ failed$') == 1 ]]
}

@test "the last line is the sum of the steps; one failure is enough for status 1" {
    ci 0 '5 passed, 0 failed' 'echo "3 passed, 0 failed"' 'echo x; echo "2 passed, 0 failed"'
    ci 1 '5 passed, 1 failed' 'echo "3 passed, 0 failed"' 'echo "2 passed, 1 failed"; exit 1'
    ci 1 '5 passed, 1 failed' 'echo "3 passed, 1 failed"; exit 2' 'echo "2 passed, 0 failed"'
}

@test "what failed stands once more before the last line" {
    ci 1 '1 passed, 2 failed' 'echo "failed: a"; echo x; echo "1 passed, 1 failed"; exit 1' \
        'echo "failed: b"; echo "0 passed, 1 failed"; exit 1'
    [[ ${lines[-3]} == 'failed: a' && ${lines[-2]} == 'failed: b' ]]
}

@test "a step that breaks is a failure, and the others run" {
    ci 1 '2 passed, 1 failed' 'exit 1' 'echo "2 passed, 0 failed"'
    ci 1 '2 passed, 1 failed' 'echo "2 passed, 0 failed"' 'echo "9 passed, 0 failed"; echo killed'
    ci 1 '2 passed, 1 failed' 'echo "2 passed, 0 failed"; exit 1'
    ci 1 '0 passed, 1 failed' 'kill -9 $$'
    ci 1 '0 passed, 0 failed' 'echo "0 passed, 0 failed"'
}

@test "its own steps have all tests among them, those of the page, and the seeds that found something" {
    grep -q "^ *'make --no-print-directory check'" "$ROOT/.ci/run"
    grep -q "^ *'make --no-print-directory check-web'" "$ROOT/.ci/run"
    grep -q "^ *'make --no-print-directory check-faults SEEDS=found'" "$ROOT/.ci/run"
}

@test "the seeds that found something fit into their time" {
    awk '!/^#/ && NF { if (NF != 3) exit 1; n++; sum += $2 + 45 }
         END { print n, sum; exit !(n >= 2 && sum <= 12 * 60) }' "$ROOT/tests/faults/seeds"
}

#!/usr/bin/env bats
# The fault suite itself: its short form finds nothing, its checker sees each kind of harm in that
# record and in a small one, and it leaves nothing behind, however it ends.

load lib/server

setup_file() {
    export BUILD=${BUILD:-$ROOT/build}
    export T=$BATS_FILE_TMPDIR
    open_way
    export TMPDIR=$T/tmp
    mkdir "$TMPDIR"
    chmod 711 "$TMPDIR"
    # Another schedule for each build: one with the network of a host gone, one without.
    local seed=1
    [[ $BUILD != *sanitized* ]] || seed=2
    "$ROOT/tests/faults/run" --short --seed "$seed" --keep "$T/kept" --keep-all >"$T/run.out" 2>&1 || true
    export REAL=$T/kept/seed-$seed/records
    "$ROOT/tests/faults/mutations.py" small "$T/small"
}

# Ends the runs that a failed test has left.
teardown() {
    local run
    for run in "$T"/*.out.pid; do
        [[ ! -e $run ]] || kill -KILL "$(<"$run")" || true
    done
}

# What a run has begun, by the folder that it works in.
processes_of() {
    py -c 'import sys; sys.path.insert(0, sys.argv[1]); import keeper
print("\n".join(f"{p} {t}" for p, t in keeper.processes(sys.argv[2]).items()))' "$ROOT/tests/faults" "$1"
}

# mutated NAME: caught, by its own finding, in the small record, and in the real one where that has something for it.
mutated() {
    local said
    said=$("$ROOT/tests/faults/mutations.py" "$1" "$T/small")
    [[ -z $said ]]
    "$ROOT/tests/faults/mutations.py" "$1" "$REAL"
}

@test "a short run: no finding, a table, and 1 passed" {
    cat "$T/run.out"
    [[ $(tail -n 1 "$T/run.out") == '1 passed, 0 failed' ]]
    grep -q '^failover  *1 ' "$T/run.out"
    [[ $(grep -c '  begin  ' "$T/run.out") == $(grep -c '  end    ' "$T/run.out") ]]
}

@test "the small record has no finding" {
    "$ROOT/tests/faults/mutations.py" none "$T/small"
}

@test "the short run has left nothing" {
    [[ -z $(ls -A "$TMPDIR") ]]
    [[ -z $(processes_of "$TMPDIR") ]]
}

@test "a run does not work in a TMPDIR that its servers, other users when root starts it, cannot enter" {
    mkdir -m 700 "$T/closed"
    TMPDIR=$T/closed py - "$ROOT/tests/faults" <<'PY'
import os, runpy, sys
sys.path.insert(0, sys.argv[1])
path = runpy.run_path(f"{sys.argv[1]}/run")["make_folder"]()
os.rmdir(path)
assert path.startswith(os.environ["TMPDIR"]) == (os.geteuid() != 0), path
PY
}

@test "each change of mutations.py has a test here, and each kind of finding a change" {
    py - "$ROOT" "$BATS_TEST_FILENAME" <<'PY'
import sys
sys.path.insert(0, sys.argv[1] + "/tests/faults")
import checker, mutations
text = open(sys.argv[2]).read()
assert not [name for name in mutations.ALL if f"    mutated {name}\n" not in text]
assert {kind for kind, _ in mutations.ALL.values()} == set(checker.KINDS)
PY
}

@test "each process and each backend of a host is stopped for longer than the lease by some fault" {
    py - "$ROOT" <<'PY'
import random, sys, types
sys.path.insert(0, sys.argv[1] + "/tests/faults")
import faults
long = {f.kind.removesuffix(", beyond the lease"): f for f in faults.ALL if f.hold[0] > faults.LEASE and "SIGSTOP" in f.kind}
assert set(long) == {f"SIGSTOP of a {what}" for what in [
    "session", "broker", "master", "whole host", "listener's backend", "writer's backend", "reader's backend"]} | {
    "SIGSTOP of an auth worker", "SIGSTOP of a signer"}, long
# Above everything that chatd or a client waits for: ANSWER_TIMEOUT_MS of db.c is the longest.
assert long["SIGSTOP of a whole host"].hold[0] > 20
# In a schedule that has room for all of them, each comes.
scene = types.SimpleNamespace(hosts=range(3), faults_known=faults.ALL)
kinds = {type(f) for _, f in faults.schedule(scene, random.Random(1), 1000, (6, 10))}
assert kinds == set(faults.ALL), set(faults.ALL) - kinds
PY
}

@test "the schedules of the seeds that found something are what they were" {
    py - "$ROOT" <<'PY'
import random, sys, types
sys.path.insert(0, sys.argv[1] + "/tests/faults")
import faults
scene = types.SimpleNamespace(hosts=range(3), faults_known=faults.ALL[:17])
planned = [(when, f) for when, f in faults.schedule(scene, random.Random(102), 200, (6, 10)) if f.kind == faults.StopBackend.kind]
assert [(when, f.host_number, f.seconds) for when, f in planned] == [(108.8, 0, 5.2)], planned
PY
}

@test "the checker sees: acknowledged but not stored" {
    mutated acknowledged_but_not_stored
}

@test "the checker sees: a message waits for the next connection" {
    mutated a_message_waits_for_the_next_connection
}

@test "the checker sees: a frame is dropped" {
    mutated a_frame_is_dropped
}

@test "the checker sees: the other device of the sender gets none" {
    mutated the_other_device_of_the_sender_gets_none
}

@test "the checker sees: a message is received that is not stored" {
    mutated a_message_is_received_that_is_not_stored
}

@test "the checker sees: an acknowledgement of what was never sent" {
    mutated an_acknowledgement_of_what_was_never_sent
}

@test "the checker sees: a stored row that nobody sent" {
    mutated a_stored_row_that_nobody_sent
}

@test "the checker sees: a message reaches somebody else" {
    mutated a_message_reaches_somebody_else
}

@test "the checker sees: a row is stored twice" {
    mutated a_row_is_stored_twice
}

@test "the checker sees: acknowledged with two numbers" {
    mutated acknowledged_with_two_numbers
}

@test "the checker sees: acknowledged as new twice" {
    mutated acknowledged_as_new_twice
}

@test "the checker sees: sent and never acknowledged" {
    mutated sent_and_never_acknowledged
}

@test "the checker sees: the content is stored otherwise" {
    mutated the_content_is_stored_otherwise
}

@test "the checker sees: the content is received otherwise" {
    mutated the_content_is_received_otherwise
}

@test "the checker sees: the receiver is another" {
    mutated the_receiver_is_another
}

@test "the checker sees: a member of a group does not get a message" {
    mutated a_member_of_a_group_does_not_get_a_message
}

@test "the checker sees: a message goes to another group" {
    mutated a_message_goes_to_another_group
}

@test "the checker sees: whoever joins has read what comes then" {
    mutated whoever_joins_has_read_what_comes_then
}

@test "the checker sees: a frame comes again on the next connection" {
    mutated a_frame_comes_again_on_the_next_connection
}

@test "the checker sees: a frame comes again at once" {
    mutated a_frame_comes_again_at_once
}

@test "the checker sees: two frames are swapped" {
    mutated two_frames_are_swapped
}

@test "the checker sees: two live frames are swapped without resume" {
    mutated two_live_frames_are_swapped_without_resume
}

@test "the checker sees: an acknowledgement overtakes" {
    mutated an_acknowledgement_overtakes
}

@test "the checker sees: a cursor is not honoured" {
    mutated a_cursor_is_not_honoured
}

@test "the checker sees: an acknowledged edit is not stored" {
    mutated an_acknowledged_edit_is_not_stored
}

@test "the checker sees: an older text comes back" {
    mutated an_older_text_comes_back
}

@test "the checker sees: a deletion is undone" {
    mutated a_deletion_is_undone
}

@test "the checker sees: an edited message is not stored" {
    mutated an_edited_message_is_not_stored
}

@test "the checker sees: a text that nobody asked for" {
    mutated a_text_that_nobody_asked_for
}

@test "the checker sees: a deleted message keeps its text" {
    mutated a_deleted_message_keeps_its_text
}

@test "the checker sees: a change reaches somebody else" {
    mutated a_change_reaches_somebody_else
}

@test "the checker sees: an acknowledgement of a change that was never asked for" {
    mutated an_acknowledgement_of_a_change_that_was_never_asked_for
}

@test "the checker sees: a change is never acknowledged" {
    mutated a_change_is_never_acknowledged
}

@test "the checker sees: a deleted text is resumed" {
    mutated a_deleted_text_is_resumed
}

@test "the checker sees: a superseded text is resumed" {
    mutated a_superseded_text_is_resumed
}

@test "the checker sees: the last change never comes" {
    mutated the_last_change_never_comes
}

@test "the checker sees: a change overtakes a message" {
    mutated a_change_overtakes_a_message
}

@test "the checker sees: a change comes again" {
    mutated a_change_comes_again
}

@test "the checker sees: the acknowledgement of a change overtakes" {
    mutated the_acknowledgement_of_a_change_overtakes
}

@test "the checker sees: a change waits for the next connection" {
    mutated a_change_waits_for_the_next_connection
}

@test "the checker sees: a list is behind a receipt" {
    mutated a_list_is_behind_a_receipt
}

@test "the checker sees: a watermark that was shown is lost" {
    mutated a_watermark_that_was_shown_is_lost
}

@test "the checker sees: the greatest watermark is not stored" {
    mutated the_greatest_watermark_is_not_stored
}

@test "the checker sees: a watermark moves by itself" {
    mutated a_watermark_moves_by_itself
}

@test "the checker sees: one too many is unread" {
    mutated one_too_many_is_unread
}

@test "the checker sees: a history shows an older text" {
    mutated a_history_shows_an_older_text
}

@test "the checker sees: a history shows another time" {
    mutated a_history_shows_another_time
}

@test "the checker sees: a history lacks a message" {
    mutated a_history_lacks_a_message
}

@test "the checker sees: a history shows somebody else's message" {
    mutated a_history_shows_somebody_elses_message
}

@test "the checker sees: a member is shown with an older watermark" {
    mutated a_member_is_shown_with_an_older_watermark
}

@test "the checker sees: the list has not the last message" {
    mutated the_list_has_not_the_last_message
}

@test "the checker sees: what is sent later reaches who has left" {
    mutated what_is_sent_later_reaches_who_has_left
}

@test "the checker sees: what was sent before reaches who comes" {
    mutated what_was_sent_before_reaches_who_comes
}

@test "the checker sees: who has left lacks what was sent before" {
    mutated who_has_left_lacks_what_was_sent_before
}

@test "the checker sees: a change of a group is told to who has left" {
    mutated a_change_of_a_group_is_told_to_who_has_left
}

@test "the checker sees: a change of a group is not told" {
    mutated a_change_of_a_group_is_not_told
}

@test "the checker sees: another change of a group is told" {
    mutated another_change_of_a_group_is_told
}

@test "the checker sees: a change of a group is told twice" {
    mutated a_change_of_a_group_is_told_twice
}

@test "the checker sees: a change of a group overtakes a message" {
    mutated a_change_of_a_group_overtakes_a_message
}

@test "the checker sees: an acknowledged member is not in the log" {
    mutated an_acknowledged_member_is_not_in_the_log
}

@test "the checker sees: nobody asked for a role" {
    mutated nobody_asked_for_a_role
}

@test "the checker sees: one request is carried out twice" {
    mutated one_request_is_carried_out_twice
}

@test "the checker sees: a mere member has given a role" {
    mutated a_mere_member_has_given_a_role
}

@test "the checker sees: a group has two owners" {
    mutated a_group_has_two_owners
}

@test "the checker sees: a group has no owner" {
    mutated a_group_has_no_owner
}

@test "the checker sees: somebody else inherits a group" {
    mutated somebody_else_inherits_a_group
}

@test "the checker sees: who has left is stored as a member" {
    mutated who_has_left_is_stored_as_a_member
}

@test "the checker sees: a group has a name that nobody gave" {
    mutated a_group_has_a_name_that_nobody_gave
}

@test "the checker sees: an answer about a group that was not asked for" {
    mutated an_answer_about_a_group_that_was_not_asked_for
}

@test "the checker sees: a request about a group is never answered" {
    mutated a_request_about_a_group_is_never_answered
}

@test "the checker sees: somebody outside writes to a group" {
    mutated somebody_outside_writes_to_a_group
}

@test "the checker sees: a mere member deletes a message" {
    mutated a_mere_member_deletes_a_message
}

@test "the checker sees: a member may not write" {
    mutated a_member_may_not_write
}

@test "the checker sees: an own message may not be changed" {
    mutated an_own_message_may_not_be_changed
}

@test "the checker sees: nothing was deleted and a change is refused for that" {
    mutated nothing_was_deleted_and_a_change_is_refused_for_that
}

@test "the checker sees: an owner may not add a member" {
    mutated an_owner_may_not_add_a_member
}

@test "the checker sees: a refusal of what was never tried" {
    mutated a_refusal_of_what_was_never_tried
}

@test "the checker sees: a member is denied the history" {
    mutated a_member_is_denied_the_history
}

@test "the checker sees: the list shows another role" {
    mutated the_list_shows_another_role
}

@test "the checker sees: the list counts a member too many" {
    mutated the_list_counts_a_member_too_many
}

@test "the checker sees: who has left is shown as a member" {
    mutated who_has_left_is_shown_as_a_member
}

@test "the checker sees: who has left is let in" {
    mutated who_has_left_is_let_in
}

@test "the checker sees: a history shows what came after one left" {
    mutated a_history_shows_what_came_after_one_left
}

@test "the checker sees: a text that was changed after one left is shown" {
    mutated a_text_that_was_changed_after_one_left_is_shown
}

@test "the checker sees: an acknowledged reaction is not stored" {
    mutated an_acknowledged_reaction_is_not_stored
}

@test "the checker sees: a reaction to a deleted message stays" {
    mutated a_reaction_to_a_deleted_message_stays
}

@test "the checker sees: a reaction that nobody asked for" {
    mutated a_reaction_that_nobody_asked_for
}

@test "the checker sees: the last reaction never comes" {
    mutated the_last_reaction_never_comes
}

@test "the checker sees: a history says that a reaction is another's" {
    mutated a_history_says_that_a_reaction_is_anothers
}

@test "the checker sees: shown online by get users" {
    mutated shown_online_by_get_users
}

@test "the checker sees: shown online by frames" {
    mutated shown_online_by_frames
}

@test "the checker sees: shown offline though connected" {
    mutated shown_offline_though_connected
}

@test "the checker sees: the last answer is wrong" {
    mutated the_last_answer_is_wrong
}

@test "the checker sees: the last frame is wrong" {
    mutated the_last_frame_is_wrong
}

@test "the checker sees: nobody is let in over TLS" {
    mutated nobody_is_let_in_over_tls
}

@test "the checker sees: a device stays out" {
    mutated a_device_stays_out
}

@test "the checker sees: a signer does not come back" {
    mutated a_signer_does_not_come_back
}

@test "the checker sees: a signature is forgotten" {
    mutated a_signature_is_forgotten
}

@test "the checker sees: the certificate of another host is shown" {
    mutated the_certificate_of_another_host_is_shown
}

@test "the checker sees: the old certificate is shown after a renewal" {
    mutated the_old_certificate_is_shown_after_a_renewal
}

@test "the checker sees: a certificate is not verified" {
    mutated a_certificate_is_not_verified
}

@test "the checker sees: a process is left" {
    mutated a_process_is_left
}

@test "the checker sees: an answer that nothing explains" {
    mutated an_answer_that_nothing_explains
}

@test "an observer whose host was away knows nothing of that time: absence counts from its return" {
    py - "$ROOT/tests/faults" <<'PY'
import sys
sys.path.insert(0, sys.argv[1])
import presence
def answer(observer, t, *online):
    return {"ev": "users", "observer": observer, "asked": t, "t": t + 0.1, "online": list(online)}
there = {"user": 3, "device": "3.0", "conn": 1, "host": 1}
rows = {"connections": [{**there, "ev": "begin", "t": 0.8}, {**there, "ev": "open", "t": 0.9}],
        "seen": [answer(1, 1, 3), answer(2, 1, 3), {"ev": "away", "observer": 2, "asked": 2, "t": 5},
                 answer(1, 29, 3), answer(2, 30), answer(2, 40), answer(1, 41, 3)]}
found = [(round(length, 1), observer) for length, _, observer, *_ in presence.absent(rows)]
assert found == [(-0.1, 2), (9.9, 2)], found
PY
}

# bats test_tags=once
@test "the suite sees: a broker that forgets the signatures which the signer owes when it dies" {
    local planted=$T/planted work=src/broker/helpers/work.c program
    mkdir -p "$planted/build/faults"
    cp -r "$ROOT/Makefile" "$ROOT/src" "$planted"
    # What is overdue gives up its place, and nobody is told.
    sed -i '/did not answer/ { n; d }' "$planted/$work"
    diff "$ROOT/$work" "$planted/$work" >"$T/planted.diff" || [[ $? == 1 ]]
    [[ $(<"$T/planted.diff") == *$'\n<         finish(job, NULL);' ]]
    make -s -C "$planted" BUILD="$planted/build" "$planted/build/chatd-broker" >"$T/planted.make"
    for program in chatd chatd-auth chatd-signer faults/shim.so; do
        cp "$BUILD/$program" "$planted/build/$program"
    done
    BUILD=$planted/build run "$ROOT/tests/faults/run" --seed 1 --seconds 12 --faults FailSigner --keep "$T/found"
    echo "$output"
    [[ $status == 1 && $output == *"hung (a TLS handshake"* ]]
    [[ -z $(sed -n 's/^  \([a-z]*\) (.*): .*/\1/p' <<<"$output" | grep -vx hung) ]]
}

# Waits until there is a folder of a run in which everything has been started.
await_begin() {
    timeout 120 bash -c 'until grep -q "  begin  " "$1"; do sleep 0.1; done' _ "$1"
}

await_nothing() {
    timeout 120 bash -c 'until [[ -z $(ls -A "$1") ]]; do sleep 0.1; done' _ "$1"
    [[ -z $(processes_of "$1") ]]
}

@test "two runs at once; one is interrupted, the other killed, or its parent: nothing is left of any" {
    local how pid
    for how in INT KILL parent; do
        mkdir "$T/$how"
        chmod 711 "$T/$how"
        # The shell between, with something to do after it, is the parent; away from this terminal's group.
        TMPDIR=$T/$how setsid bash -c '"$0" --seconds 3600 --seed 2 >"$1" 2>&1 & echo $! >"$1.pid"; wait; true' \
            "$ROOT/tests/faults/run" "$T/$how.out" 3>&- &
        echo $! >"$T/$how.parent"
    done
    for how in INT KILL parent; do await_begin "$T/$how.out"; done
    for how in INT KILL parent; do [[ $(processes_of "$T/$how" | wc -l) -gt 30 ]]; done
    kill -INT "$(<"$T/INT.out.pid")"
    kill -KILL "$(<"$T/KILL.out.pid")"
    kill -KILL "$(<"$T/parent.parent")"
    for how in INT KILL parent; do await_nothing "$T/$how"; done
    rm "$T"/*.out.pid
    [[ $(tail -n 1 "$T/INT.out") == stopped ]]
}

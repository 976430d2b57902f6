#!/usr/bin/env bats
# bats file_tags=once
#
# The page in chromium, against real servers, before which the network breaks (page.mjs, servers.mjs).
# Pictures of it are in build/web/pictures afterwards.

load ../lib/server

setup_file() {
    export ROOT
    server_setup_file
}

teardown_file() {
    server_teardown_file
}

scenario() {
    node "$ROOT/tests/web/page.mjs" "$1"
}

@test "two pages talk: unread, stored, delivered, read, typing, reply, reaction, edit, delete" {
    scenario talk
}

@test "the network is cut and the server restarted between: nothing is lost or doubled, drafts stay, and the page says so" {
    scenario interruptions
}

@test "groups: create, add, mention, roles, remove, leave; what is refused is said" {
    scenario groups
}

@test "the keyboard alone does all" {
    scenario keyboard
}

@test "texts are texts: no markup, no script, any direction; and the policy holds" {
    scenario hostile
}

@test "logging in, out, elsewhere, and a token that becomes void: what was written is kept, or deleted" {
    scenario session
}

@test "a logout that fails, or comes too late; the session of another account stays" {
    scenario leaving
}

@test "a full outbox leaves what was written; damaged storage leaves the page working" {
    scenario storage
}

@test "a long history comes page by page; who reads what is old stays there" {
    scenario long_history
}

@test "an answer that comes late takes no receipt back" {
    scenario late_answer
}

@test "axe-core finds nothing, in both colour schemes, at desktop and phone width" {
    scenario looks
}

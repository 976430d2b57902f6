#!/usr/bin/env bats
# bats file_tags=once
#
# The page in Debian's Firefox, by WebDriver BiDi: what page.bats tries in chromium, but for scenarios
# that need two windows with the focus at once, or axe-core, or texts of thousands of letters, which
# BiDi types one by one.

load ../lib/server

setup_file() {
    export ROOT
    server_setup_file
}

teardown_file() {
    server_teardown_file
}

scenario() {
    BROWSER=firefox node "$ROOT/tests/web/page.mjs" "$1"
}

@test "two pages talk in Firefox: unread, stored, delivered, read, typing, reply, reaction, edit, delete" {
    scenario talk
}

@test "logging in, out, elsewhere, and a token that becomes void, in Firefox" {
    scenario session
}

@test "a logout that fails, or comes too late, in Firefox" {
    scenario leaving
}

@test "a full outbox and damaged storage, in Firefox" {
    scenario storage
}

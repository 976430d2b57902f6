#!/usr/bin/env bats
# bats file_tags=once
#
# chatd.js in Node.js against real servers, before which the network breaks (library.mjs, servers.mjs).

load ../lib/server

setup_file() {
    export ROOT
    server_setup_file
}

teardown_file() {
    server_teardown_file
}

scenario() {
    node "$ROOT/tests/web/library.mjs" "$1"
}

@test "messages, changes of them, typing and receipts; what is refused, and what no frame can carry, stops nothing" {
    scenario talk
}

@test "the server is restarted: what was sent meanwhile is stored once, in order" {
    scenario restart
}

@test "the network is cut, or silent, at random: nothing is lost, doubled or out of order, on either side" {
    scenario cuts
}

@test "an acknowledgement that was lost: the same id again, stored once, and the frame before it is recognized" {
    scenario lost_ack
}

@test "acknowledgements that come twice count once; an id of the caller's" {
    scenario acks_twice
}

@test "a client that falls behind until its queue overflows gets everything, once and in order" {
    scenario overflow
}

@test "a void token, a bad one, a disabled account: the end, with no other attempt until somebody logs in" {
    scenario void_token
}

@test "a new token on an open connection; one of another user is refused" {
    scenario renewal
}

@test "close codes that ask for patience: 1013 and 4429 wait, and check() does not shorten that" {
    scenario later
}

@test "the bound of the waits doubles up to its limit" {
    scenario waits
}

@test "a temporary error: the same again under the same id, and nothing overtakes it" {
    scenario temporary
}

@test "a server that says nothing is left; a handshake that nobody answers ends; marks are said again" {
    scenario silence
}

@test "a listener that fails is reported, and stops neither the others nor the cursor" {
    scenario listeners
}

@test "outbox and drafts outlive the page, and two pages share them; a full storage; a full outbox" {
    scenario storage
}

@test "pages that share a storage have a cursor each: one that breaks, or opens, sets none back" {
    scenario pages
}

@test "after a message that is too large the next one is sent" {
    scenario too_large
}

@test "forget() while online sends nothing" {
    scenario forgotten
}

@test "what is damaged in the outbox is removed, and the rest is sent" {
    scenario damaged
}

@test "a scenario that is ended leaves no server behind" {
    scenario ended
}

@test "every route has its function; pages, errors, Retry-After, and a server that is away" {
    scenario routes
}

@test "class, types and manual name the same" {
    scenario names
}

@test "the types are those of the library, and TypeScript takes them" {
    "$ROOT/build/web-tests/node_modules/.bin/tsc" --noEmit --strict --target es2022 --module nodenext --moduleResolution nodenext \
        --lib es2022,dom "$ROOT/tests/web/types.ts"
}

# The n-th block of JavaScript in README, as a module for this server in T/block.mjs, with what a page
# has and Debian 12's Node.js has not before it, and other lines behind and before it.
block() {
    {
        echo "import { WebSocket } from '$ROOT/tests/web/servers.mjs';"
        echo "globalThis.WebSocket = WebSocket; globalThis.localStorage = new (class extends Map { getItem(k) { return this.get(k) ?? null; }"
        echo "setItem(k, v) { this.set(k, v); } removeItem(k) { this.delete(k); } key(n) { return [...this.keys()][n] ?? null; } get length() { return this.size; } })();"
        echo "${3:-}"
        awk -v wanted="$1" '/^```js$/ { inside = ++n == wanted; next } /^```$/ { inside = 0 } inside' "$ROOT/README.md" | tee "$T/lines.js" |
            sed -e "s|http://localhost:8080|$(server_url)|" -e "s|\"\./chatd.js\"|\"$ROOT/web/chatd.js\"|" \
                -e "s/battery staple\|correct horse/$(password | sed 's/[\/&]/\\&/g')/"
        echo "$2"
    } >"$T/block.mjs"
}

last_message() {
    psql -qXAt -c 'select content from chatd.messages order by id desc limit 1'
}

@test "README's lines of JavaScript connect, resume and send, with the library and without" {
    server_start
    BASE=$(server_url) user bob >/dev/null
    BASE=$(server_url) user alice >/dev/null
    block 1 'chat.stop();'
    (($(grep -c . "$T/lines.js") == 10))
    run timeout 60 node "$T/block.mjs"
    echo "$output"
    [[ $status == 0 && $output == *online* && $output == *'Stored as '* ]]
    [[ $(last_message) == 'Hello from JavaScript!' ]]
    # It goes on for ever, as in a page.
    block 2 '' 'const said = new Set(); console.log = (...words) => { said.add(words.join(" ")); console.info(...words);
        if (said.has("WebSocket ack") && said.has("events resumed")) process.exit(); };'
    (($(grep -c . "$T/lines.js") <= 14))
    run timeout 60 node "$T/block.mjs"
    echo "$output"
    [[ $status == 0 && $(last_message) == 'By hand' ]]
    server_stop
}

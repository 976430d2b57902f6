#!/usr/bin/env bats
# bats file_tags=once
#
# What programs of others make of web/openapi.json and web/asyncapi.json: a linter, the schemas of
# OpenAPI and AsyncAPI, and a generated client that speaks to a real server (api.mjs, client.ts).

load ../lib/server

setup_file() {
    export ROOT
    server_setup_file
    server_start
}

teardown_file() {
    server_teardown_file
}

# generated FOLDER: there the types that openapi-typescript makes of both descriptions, as they are served.
# Of AsyncAPI it takes the schemas.
generated() {
    local name
    mkdir -p "$1"
    echo '{"type":"module"}' >"$1/package.json"
    for name in openapi asyncapi; do
        api GET "/$name.json"
        jq '{openapi: (.openapi // "3.1.0"), info, paths: (.paths // {}), components}' "$T/body" >"$1/$name.json"
        "$(modules)/openapi-typescript" "$1/$name.json" -o "$1/$name.d.ts"
    done
}

compiled() {
    "$(modules)/tsc" --strict --target es2022 --module nodenext --moduleResolution nodenext --lib es2022,dom "$@"
}

modules() {
    echo "$ROOT/build/web-tests/node_modules/.bin"
}

@test "Redocly's linter takes both descriptions" {
    node "$ROOT/tests/web/api.mjs" lint
}

@test "they are what the schemas of OpenAPI 3.1 and AsyncAPI 3 allow" {
    node "$ROOT/tests/web/api.mjs" schemas
}

@test "a client that is generated from openapi.json compiles, and talks to a server" {
    local folder=$ROOT/build/web-tests/generated
    generated "$folder"
    cp "$ROOT/tests/web/client.ts" "$folder"
    compiled "$folder/client.ts"
    run timeout 60 node "$folder/client.js" "$(server_url)" "$(password)"
    echo "$output"
    [[ $status == 0 && $output == done ]]
    [[ $(psql -qXAt -c 'select content from chatd.messages order by id desc limit 1') == 'from a generated client' ]]
}

@test "the library's types are those of the descriptions" {
    local folder=$ROOT/build/web-tests/generated
    generated "$folder"
    cp "$ROOT/tests/web/described.ts" "$ROOT/web/chatd.d.ts" "$folder"
    compiled --noEmit "$folder/described.ts"
}

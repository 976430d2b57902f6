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
    mkdir -p "$folder"
    api GET /openapi.json
    cp "$T/body" "$folder/openapi.json"
    "$(modules)/openapi-typescript" "$folder/openapi.json" -o "$folder/openapi.d.ts"
    cp "$ROOT/tests/web/client.ts" "$folder/client.ts"
    echo '{"type":"module"}' >"$folder/package.json"
    "$(modules)/tsc" --strict --target es2022 --module nodenext --moduleResolution nodenext --lib es2022,dom "$folder/client.ts"
    run timeout 60 node "$folder/client.js" "$(server_url)" "$(password)"
    echo "$output"
    [[ $status == 0 && $output == done ]]
    [[ $(psql -qXAt -c 'select content from chatd.messages order by id desc limit 1') == 'from a generated client' ]]
}

#!/usr/bin/env bats
# The page at /: who gets it, and what its response forbids it. What it does is tried in a browser,
# by make check-web.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() {
    server_setup_file
    server_start main -o web_client=on
    server_start off
}

teardown_file() {
    server_teardown_file
}

@test "the page is in the executable: it comes at / whole, and is less than 60 kB of one file" {
    api GET /
    [[ $status == 200 && $(header content-type) == 'text/html; charset=utf-8' ]]
    cmp "$T/body" "$BUILD/web/index.html"
    (($(wc -c <"$T/body") < 60000))
    [[ $(header content-length) == "$(wc -c <"$T/body")" ]]
    # Nothing of it is elsewhere.
    run ! grep -E '^(import|export) |<link rel="stylesheet"|(src|href)="[^d]|@import|url\(' "$T/body"
    api GET '/?x=1'
    [[ $status == 200 ]]
}

@test "its policy names its own script and style by their hashes, and allows nothing else" {
    api GET /
    header content-security-policy >"$T/policy"
    py - "$T/body" "$T/policy" <<'PY'
import base64, hashlib, re, sys
page, policy = open(sys.argv[1], newline="").read(), open(sys.argv[2]).read().strip()
def digest(kind):
    [content] = re.findall(rf"<{kind}\b[^>]*>(.*?)</{kind}>", page, re.S)
    return "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"
rules = {name: rest for name, *rest in (rule.split() for rule in policy.split(";"))}
assert rules == {"default-src": ["'none'"], "script-src": [digest("script")], "style-src": [digest("style")], "connect-src": ["'self'"],
                 "img-src": ["data:"], "base-uri": ["'none'"], "form-action": ["'none'"], "frame-ancestors": ["'none'"],
                 "require-trusted-types-for": ["'script'"], "trusted-types": ["'none'"]}, rules
assert not re.search(r"\son\w+=|\sstyle=|javascript:", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S))
assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", page)
PY
    [[ $(header x-content-type-options) == nosniff && $(header referrer-policy) == no-referrer ]]
    [[ $(header cross-origin-opener-policy) == same-origin && $(header cache-control) == no-cache ]]
}

@test "HEAD, OPTIONS and other methods; whoever has the page gets 304" {
    local etag tag
    api HEAD /
    [[ $status == 200 && $(header content-length) == "$(wc -c <"$BUILD/web/index.html")" ]]
    etag=$(header etag)
    [[ $etag == \"*\" ]]
    for tag in "$etag" "W/$etag" "\"other\", $etag" '*'; do
        rm "$T/body" && touch "$T/body" # curl makes none for an empty one
        api GET / '' '' -H "If-None-Match: $tag"
        [[ $status == 304 && ! -s $T/body && $(header etag) == "$etag" ]] || fail "$tag: $status"
        [[ -z $(header content-length) && $(header content-security-policy) == *"'none'"* ]]
    done
    for tag in '"other"' 'W/' "${etag%\"}" ''; do
        api GET / '' '' -H "If-None-Match: $tag"
        [[ $status == 200 ]] || fail "$tag: $status"
    done
    api OPTIONS /
    [[ $status == 204 && $(header allow) == 'GET, HEAD, OPTIONS' ]]
    api POST / '{}'
    [[ $status == 405 && $(header allow) == 'GET, HEAD, OPTIONS' ]]
}

@test "without web_client there is nothing at /, whatever the method" {
    local method
    BASE=$(server_url off)
    for method in GET HEAD POST OPTIONS; do
        api "$method" /
        [[ $status == 404 && -z $(header content-security-policy) ]] || fail "$method: $status"
    done
}

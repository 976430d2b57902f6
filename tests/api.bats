#!/usr/bin/env bats
# What describes the server to programs, web/openapi.json and web/asyncapi.json: how it is served, and
# that it is what the code is, both ways. What servers answer in the files that set DESCRIBED is held
# against it by lib/described.py.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start
}

teardown_file() {
    server_teardown_file
}

# --- served ---

@test "both descriptions come whole, without a token and without web_client, for any page in development" {
    local name
    for name in openapi asyncapi; do
        api GET "/$name.json" '' '' -H 'Origin: http://localhost:3000'
        [[ $status == 200 && $(header content-type) == application/json ]] || fail "$name: $status"
        cmp "$T/body" "$BUILD/web/$name.json"
        [[ $(header content-length) == "$(wc -c <"$T/body")" && $(header access-control-allow-origin) == '*' ]]
        [[ $(header cache-control) == no-cache && $(header x-content-type-options) == nosniff ]]
        [[ -z $(header content-security-policy) ]]
        # Less the blanks, what stands in web/.
        cmp <(jq -S . "$T/body") <(jq -S . "$ROOT/web/$name.json")
        (($(wc -l <"$T/body") == 1))
    done
}

@test "HEAD, OPTIONS and other methods; whoever has a description gets 304" {
    local name etag
    for name in openapi asyncapi; do
        api HEAD "/$name.json"
        [[ $status == 200 && $(header content-length) == "$(wc -c <"$BUILD/web/$name.json")" ]]
        etag=$(header etag)
        api GET "/$name.json" '' '' -H "If-None-Match: $etag"
        [[ $status == 304 && ! -s $T/body && $(header etag) == "$etag" ]] || fail "$name: $status"
        api GET "/$name.json" '' '' -H 'If-None-Match: "other"'
        [[ $status == 200 ]]
        api OPTIONS "/$name.json"
        [[ $status == 204 && $(header allow) == 'GET, HEAD, OPTIONS' ]]
        api POST "/$name.json" '{}'
        [[ $status == 405 && $(header allow) == 'GET, HEAD, OPTIONS' ]]
        echo "$etag" >>"$T/etags"
    done
    [[ $(sort -u "$T/etags" | wc -l) == 2 ]]
}

# --- the same as the code ---

@test "routes, parameters, statuses, frames, codes and members: all of the code's are described, and no others" {
    py - "$ROOT" <<'PY'
import glob, re, sys
import described
root = sys.argv[1]
http, live = described.load("openapi"), described.load("asyncapi")

def source(*names):
    return "\n".join(open(f).read() for n in names for f in sorted(glob.glob(f"{root}/{n}")))

def same(what, code, told):
    assert code, f"no {what} found in the source"
    assert code == told, f"{what}: only in the code {sorted(code - told)}, only described {sorted(told - code)}"

session, wire, schema = source("src/session/*.c"), source("src/wire/*.c"), source("sql/schema.sql")
operations = {(p, m.upper()): o for p, item in http["paths"].items() for m, o in item.items()}
routes = source("src/session/rest.c").split("routes[] = {")[1].split("};")[0]
same("routes", set(re.findall(r'\{"(/[^"]*)", "(\w+)"', routes)),
     {(re.sub(r"\{\w+\}", ":", p), m) for p, m in operations})

def resolved(v):
    kind, name = v["$ref"].rsplit("/", 2)[1:] if "$ref" in v else (None, None)
    return http["components"][kind][name] if kind else v

used = {k: [resolved(p) for p in o.get("parameters", [])] for k, o in operations.items()}
page = open(f"{root}/man/chatd-protocol.7").read()
for (path, method), parameters in used.items():
    assert re.findall(r"\{(\w+)\}", path) == [p["name"] for p in parameters if p["in"] == "path"], (path, method)
    # By the names that the manual gives them.
    named = re.sub(r"\{(\w+)\}", r":\1", path)
    assert f"\n.Ss {method} {named}\n" in page, (path, method)
asked = set(re.findall(r'exchange_query\(\w+, "(\w+)"\)', session)) | set(re.findall(r'\{"(\w+)", &\w+', session))
same("parameters of queries", asked, {p["name"] for ps in used.values() for p in ps if p["in"] == "query"})

table = source("src/ipc/ipc_table.h").split("#define IPC_ERRORS(E)")[1]
rows = re.findall(r'E\(\w+, "(\w+)", (\d+), ', table)
statuses = {status for _, status in rows}
statuses |= set(re.findall(r"(?:exchange_error|exchange_error_with|refuse\w*|\w*_refuse|begin)\(\w+, (\d{3})\b",
                           session + source("src/wire/http*.c", "src/wire/ws_handshake.c")))
statuses |= set(re.findall(r"return -(\d{3});", source("src/wire/http*.c")))
told = {s for o in operations.values() for s in o["responses"] if s != "default"} | described.Described().any_request
same("statuses of errors", {s for s in statuses if s >= "400"}, {s for s in told if s >= "400"})

hidden = set(re.findall(r"^\.Li (\w+)", page.split("Over HTTP there are also\n")[1].split(";")[0], re.M))
codes = {code for code, _ in rows}
for call in re.findall(r"\brefuse_frame\(f,([^;]*);", source("src/wire/chat_frame.c")):
    codes |= set(re.findall(r'"([a-z]+_[a-z]+)"', call))
codes |= set(re.findall(r'(?:live_put_error|complain)\(\w+, [^;"]*"(\w+)"', session))
frames = live["components"]["schemas"]
same("codes", codes - hidden, set(frames["server_error"]["properties"]["data"]["properties"]["code"]["enum"]))

sent = set(re.findall(r'\{\\"type\\":\\"(\w+)\\"', wire + source("src/session/*.c", "src/broker/*/*.c")))
sent |= set(re.findall(r'\{"type":"(\w+)"', schema))
taken = set(re.findall(r'memcmp\(type\.p, "(\w+)"', wire))
for who, types in ("server", sent), ("client", taken):
    same(f"frames of the {who}", types, {n.split("_", 1)[1] for n in frames if n.startswith(f"{who}_")})
    for name, message in live["components"]["messages"].items():
        if name.startswith(who):
            assert message["payload"] == {"$ref": f"#/components/schemas/{name}"} and f"{who}_{message['name']}" == name, name
            assert frames[name]["properties"]["type"]["const"] == message["name"], name

names = dict(re.findall(r"\b([A-Z_]+) = (1\d\d\d)\b", source("src/wire/ws.c")))
closes = {names[n] for n in re.findall(r"fail\(r, out, ([A-Z_]+),", source("src/wire/ws.c"))}
closes |= set(re.findall(r"(?:live_goodbye|end)\(\w+, (\d{4}),", session)) | set(re.findall(r"return (\d{4});", source("src/session/close_code.c")))
# 1000 and 1001 are only ever the client's own, sent back.
same("close codes", closes | {"1000", "1001"}, set(live["channels"]["ws"]["x-close-codes"]))
assert f'"{live["channels"]["ws"]["x-subprotocols"][0]}"' in session

# What is described is somewhere in the code; that all of the code's is described, the answers show.
def members(v):
    if isinstance(v, list):
        return set().union(*map(members, v))
    if not isinstance(v, dict):
        return set()
    own = set(v["properties"]) if isinstance(v.get("properties"), dict) else set()
    return own.union(*(members(x) for x in v.values()))
code = session + wire + schema + source("src/broker/*.c", "src/broker/*/*.c")
invented = {m for m in members(http) | members(frames) if f'"{m}"' not in code and f'\\"{m}\\"' not in code and f'"{m}":' not in code}
assert not invented, invented
for name in "openapi", "asyncapi":
    assert described.load(name)["info"]["version"] == re.search(r'CHATD_VERSION "(.*)"', source("src/lib/version.h"))[1], name
PY
}

@test "the two descriptions agree on what both have; each part is used, and each reference leads somewhere" {
    py - <<'PY'
import json, described
docs = [described.load(name) for name in ("openapi", "asyncapi")]
both = [doc["components"]["schemas"] for doc in docs]
common = set(both[0]) & set(both[1])
assert len(common) >= 5, common
for name in common:
    assert both[0][name] == both[1][name], name

def references(v):
    if isinstance(v, list):
        return set().union(*map(references, v))
    if not isinstance(v, dict):
        return set()
    return {v["$ref"]} if isinstance(v.get("$ref"), str) and len(v) == 1 else set().union(
        *(references(x) for x in v.values()), [v["$ref"]] if isinstance(v.get("$ref"), str) else [])
for doc in docs:
    refs = references(doc)
    for ref in refs:
        at = doc
        for part in ref.removeprefix("#/").split("/"):
            at = at[part.replace("~1", "/")]
    unused = {f"#/components/{kind}/{name}" for kind, parts in doc["components"].items() if kind != "securitySchemes" for name in parts} - refs
    assert not unused, unused
ids = [o["operationId"] for item in docs[0]["paths"].values() for o in item.values()]
assert len(ids) == len(set(ids))
PY
}

# --- the same as what is answered ---

@test "examples fit their schemas; the server takes the requests, and answers the frames without a word about their form" {
    py - <<'PY'
from chat import *
import re
d = described.Described()
a, b = user(), user()
assert api("POST", "/messages", {"receiver_id": b.id, "content": "x"}, a.token)[0] == 201
group = api("POST", "/conversations", {"name": "Team", "members": [b.id]}, a.token)[1]["id"]
assert api("POST", f"/conversations/{group}/messages", {"content": "x"}, a.token)[0] == 201
message = api("GET", f"/conversations/{group}/messages", token=a.token)[1][0]["id"]

def fitted(v):
    """With ids that there are."""
    own = {"receiver_id": b.id, "user_id": b.id, "conversation_id": group, "message_id": message, "reply_to": message, "members": [b.id],
           "token": a.token, "cursor": "", "username": a.name, "password": password(), "new_password": password(), "email": f"{a.name}.x@example.com"}
    return {k: own.get(k, fitted(x) if isinstance(x, dict) else x) for k, x in v.items()}

tried = 0
for path, item in d.http["paths"].items():
    for method, o in item.items():
        if "requestBody" not in o or path == "/password":
            continue
        body = o["requestBody"]["content"]["application/json"]
        assert d.requests.wrong(body["schema"], body["example"]) is None, (path, body)
        body = fitted(body["example"])
        if path == "/register":
            body["username"] = "nobody-yet"
        at = path.replace("{id}", str(group)).replace("{userId}", str(b.id)).replace("{messageId}", str(message))
        if at.endswith("/members"):
            body["user_id"] = user().id
        status, answer = api(method.upper(), at, body, a.token)
        assert status in (200, 201, 204), (method, path, status, answer)
        tried += 1
assert tried == sum("requestBody" in o for item in d.http["paths"].values() for o in item.values()) - 1 > 5, tried
ws, heard = connect(a.token, path="/ws?cursor="), set()
for name, m in d.live["components"]["messages"].items():
    for example in (e["payload"] for e in m["examples"]):
        check = d.frame(example) if name.startswith("server_") else d.clients.wrong(m["payload"], example)
        assert check is None, (name, check)
        if name.startswith("client_"):
            frame = fitted(example)
            ws.send(frame)
            ws.send({"type": "ping", "id": f"after-{name}"})
            while True:
                got = ws.recv()
                heard.add(got["type"])
                if got.get("id") == f"after-{name}":
                    break
                code = got["data"]["code"] if got["type"] == "error" else None
                assert code in (None, "deleted"), (frame, got)
while not heard >= {"pong", "ack", "resumed", "authenticated"}: # an answer of the database may be the last
    heard.add(ws.recv()["type"])
# The stream over HTTP: each of its lines is a frame.
import http.client
c = http.client.HTTPConnection("127.0.0.1", port(), timeout=WAIT)
c.request("GET", "/events", headers={"Authorization": f"Bearer {b.token}"})
r = c.getresponse()
assert r.status == 200 and r.getheader("Content-Type") in d.http["paths"]["/events"]["get"]["responses"]["200"]["content"]
assert api("POST", "/messages", {"receiver_id": b.id, "content": "last"}, a.token)[0] == 201
while True:
    frame = json.loads(r.readline())
    assert d.frame(frame) is None, frame
    if frame["type"] == "message" and frame["content"] == "last":
        break
PY
}

@test "what nothing describes is found: a member, a status, a route, a frame, a body; and a schema that lacks one" {
    py - <<'PY'
import json, os
from described import Described, load, main
d = Described()
message = {"id": 91, "conversation_id": 7, "sender_id": 1, "receiver_id": 2, "content": "x", "created_at": "2026-01-31T12:00:00.000Z"}
history = lambda m: ("GET", "/messages/2?limit=1", "200", json.dumps([m]))
assert d.answer(*history(message)) is None
assert "extra" in d.answer(*history({**message, "extra": 1}))
assert d.answer(*history({**message, "id": "91"})) and d.answer(*history({**message, "created_at": "2026-01-31 12:00"}))
assert "content" in d.answer(*history({k: v for k, v in message.items() if k != "content"}))
assert d.answer(*history({**message, "reactions": [{"emoji": "+1", "count": 2}]}))          # mine is missing
assert d.answer("GET", "/me", "409", '{"error":"x"}') == "no such status is described"
assert d.answer("GET", "/me", "405", '{"error":"x"}') is None and d.answer("GET", "/me", "405", '{"error":"x","code":"y"}')
assert d.answer("GET", "/new", "200", "{}") == "no such route is described"
assert d.answer("GET", "/new", "404", '{"error":"x"}') is None
assert d.answer("POST", "/logout", "204", "{}") == "no body is described"
sent = ("POST", "/messages", "201", '{"message_id":91,"duplicate":false}')
assert d.answer(*sent, '{"receiver_id":2,"content":"x","other":1}') is None and d.answer(*sent, '{"content":"x"}')
frame = {"type": "user_status", "data": {"user_id": 1, "online": True, "username": "user1"}}
assert d.frame(frame) is None and d.frame({**frame, "more": 1}) and d.frame({"type": "news"})
assert "extra" in d.frame({**frame, "data": {**frame["data"], "extra": 1}})
assert d.frame({"type": "error", "error": "x", "data": {"code": "new_code", "temporary": False}})
# A carriage return, as tests of requests have it, ends no line.
with open(f"{os.environ['T']}/odd", "w", newline="") as f:
    f.write('GET\t/a\rb\t404\t{"error":"x"}\t\nGET\t/me\t409\t{"error":"x"}\t\n')
assert main([f.name]) == 1
# Every member of every answer and frame is needed where it is described.
less = load("openapi")
del less["components"]["schemas"]["Message"]["properties"]["content"]
assert "content" in Described(openapi=less).answer(*history(message))
less = load("asyncapi")
del less["components"]["schemas"]["server_user_status"]["properties"]["data"]["properties"]["online"]
assert "online" in Described(asyncapi=less).frame(frame)
PY
}

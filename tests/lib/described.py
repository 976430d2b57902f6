"""What servers have answered, held against web/openapi.json and web/asyncapi.json.

    described.py FILE...                  # says what no description allows, and then ends with 1

In the files that set DESCRIBED the helpers of the tests write to $T/answers what they are answered,
one line each, of fields with tabs between:

    METHOD  PATH  STATUS  BODY  REQUEST   # bodies are JSON, or empty
    FRAME   FRAME                         # what came over WebSocket or GET /events

The descriptions let members be added, as chatd-protocol(7) does. Here they are closed: what a server
sends and nothing describes is an error. A client's bodies stay open, for members that are not
described are ignored; those that were accepted have to fit.
"""
import json
import os
import re
import sys

MOST = 65536  # bytes of an answer that is kept

# Of these the value counts, not just that it is a string.
WORDS = {"type", "code", "role", "kind", "history"}


def shape(v, name=None):
    """The same for two values that the schemas treat alike, but for the form of texts and numbers."""
    if isinstance(v, dict):
        return tuple((k, shape(v[k], k)) for k in sorted(v))
    if isinstance(v, list):
        return frozenset(map(shape, v))
    return v if name in WORDS else type(v)


WANTED = bool(os.environ.get("DESCRIBED"))
_seen = set()


def _write(*fields):
    if any(set("\t\n") & set(f) for f in fields):
        return
    with open(f"{os.environ['T']}/answers", "ab", buffering=0) as f:
        f.write("\t".join(fields).encode() + b"\n")


def _text(body):
    body = body or ""
    return (body.decode(errors="replace") if isinstance(body, bytes) else body).strip("\n")


def record(method, path, status, body, request=None):
    """Keeps an answer, unless one like it was kept before. body, request: str, bytes, or None."""
    if not WANTED:
        return
    body, request = _text(body), _text(request)
    try:
        key = (method, re.sub(r"\d+", "0", path), status, shape(json.loads(body)) if body else None)
    except ValueError:
        key = (method, path, status, None)
    if key not in _seen and len(body) <= MOST:
        _seen.add(key)
        _write(method, path, str(status), body, request)


def record_frame(frame):
    if WANTED and (key := shape(frame)) not in _seen:
        _seen.add(key)
        _write("FRAME", json.dumps(frame))


def load(name):
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../web")
    with open(f"{root}/{name}.json") as f:
        return json.load(f)


def closed(v):
    """A schema, or anything that has some, without room for members that it does not name."""
    if isinstance(v, list):
        return [closed(x) for x in v]
    if not isinstance(v, dict):
        return v
    more = {"additionalProperties": False} if isinstance(v.get("properties"), dict) and v.get("type") == "object" else {}
    return {**{k: closed(x) for k, x in v.items()}, **more}


class Schemas:
    """Validators of a description's schemas, made once each."""

    def __init__(self, doc, close):
        self.components = closed(doc["components"]) if close else doc["components"]
        self.close, self.made = close, {}

    def wrong(self, schema, value):
        """None, or what is wrong with a value."""
        from jsonschema import Draft202012Validator
        key = json.dumps(schema)
        if key not in self.made:
            schema = closed(schema) if self.close else schema
            self.made[key] = Draft202012Validator({**schema, "components": self.components})
        error = next(self.made[key].iter_errors(value), None)
        if error is None:
            return None
        return f"{'.'.join(map(str, error.absolute_path)) or 'the whole'}: {error.message[:300]}"


class Described:
    def __init__(self, openapi=None, asyncapi=None):
        self.http, self.live = openapi or load("openapi"), asyncapi or load("asyncapi")
        self.answers, self.requests = Schemas(self.http, True), Schemas(self.http, False)
        self.frames, self.clients = Schemas(self.live, True), Schemas(self.live, False)
        self.paths = [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(p))), item) for p, item in self.http["paths"].items()]
        refused = self.http["components"]["responses"]["Refused"]["description"]
        self.any_request = set(re.findall(r"\b[345]\d\d\b", refused))

    def operation(self, method, path):
        path = path.split("?")[0]
        method = "get" if method == "HEAD" else method.lower() if method.isupper() else method
        for pattern, item in self.paths:
            if pattern.fullmatch(path) and method in item:
                return item[method]
        return None

    def response(self, operation, status):
        """The response of this status; that of any request if it is among those; or None."""
        answers = operation["responses"]
        answer = answers.get(status) or (answers["default"] if status in self.any_request else None)
        if answer and "$ref" in answer:
            answer = self.http["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
        return answer

    def answer(self, method, path, status, body, request=""):
        """None, or what the description does not allow."""
        operation = self.operation(method, path)
        if operation is None:
            return self._nowhere(method, status, body)
        answer = self.response(operation, status)
        if answer is None:
            return "no such status is described"
        wrong = self._body(answer, body) if method != "HEAD" else None
        if not wrong and request and status[0] == "2" and "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            wrong = self.requests.wrong(schema, json.loads(request))
        return wrong

    def _nowhere(self, method, status, body):
        if method == "OPTIONS" and status == "204":
            return None
        if status[0] not in "345":
            return "no such route is described"
        error = {"$ref": "#/components/schemas/Error"}
        return self.answers.wrong(error, json.loads(body)) if body else None

    def _body(self, answer, body):
        content = answer.get("content", {})
        if not content:
            return "no body is described" if body else None
        if "application/json" not in content:
            return None
        return self.answers.wrong(content["application/json"]["schema"], json.loads(body))

    def frame(self, frame):
        name = f"server_{frame.get('type')}"
        if name not in self.live["components"]["schemas"]:
            return "no such frame is described"
        return self.frames.wrong({"$ref": f"#/components/schemas/{name}"}, frame)

    def line(self, fields):
        try:
            if fields[0] == "FRAME":
                return self.frame(json.loads(fields[1]))
            return self.answer(*fields) if fields[1].startswith("/") else None
        except ValueError as e:
            return f"no JSON: {e}"


def main(files):
    described, failures, seen = Described(), 0, set()
    for name in files:
        with open(name, errors="replace", newline="\n") as f:
            for line in f:
                line = line.rstrip("\n")
                if line in seen:
                    continue
                seen.add(line)
                wrong = described.line(line.split("\t"))
                if wrong:
                    failures += 1
                    print(f"not as described: {line[:300]}\n  {wrong}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

/*
 * What programs of others say of web/openapi.json and web/asyncapi.json.
 *
 *   node api.mjs lint|schemas
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { ROOT } = process.env;
const packages = createRequire(`${ROOT}/build/web-tests/`);
const named = (name) => `${ROOT}/web/${name}.json`;
const read = (name) => JSON.parse(readFileSync(named(name), "utf8"));

/* What a linter may say, with the reason. */
const excused = [
  // A WebSocket handshake has no other success than 101.
  ({ rule, where }) => rule === "operation-2xx-response" && where.startsWith("#/paths/~1ws/get"),
];

async function lint() {
  const { createConfig, lint: check } = packages("@redocly/openapi-core");
  const config = await createConfig({ extends: ["recommended-strict"] });
  for (const name of ["openapi", "asyncapi"]) {
    const problems = (await check({ ref: named(name), config })).map((p) => ({ rule: p.ruleId, where: p.location[0]?.pointer ?? "", text: p.message }));
    assert.deepEqual(problems.filter((p) => !excused.some((fits) => fits(p))), [], name);
  }
}

/* The schemas that the two specifications publish of themselves. */
async function schemas() {
  const { Validator } = await import(packages.resolve("@seriousme/openapi-schema-validator"));
  assert.deepEqual(await new Validator().validate(read("openapi")), { valid: true });
  const Ajv = packages("ajv");
  const document = read("asyncapi");
  const schema = packages("@asyncapi/specs").schemas[document.asyncapi];
  // It has draft 7 of JSON Schema in itself, under the name that ajv's own has.
  const fits = new Ajv({ strict: false, allErrors: true, logger: false, meta: false }).compile(schema);
  fits(document);
  assert.deepEqual(fits.errors, null);
}

const what = { lint, schemas }[process.argv[2]];
assert.ok(what, "lint or schemas");
await what();

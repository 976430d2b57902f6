// A client whose types are generated from openapi.json (openapi-typescript, openapi-fetch): it talks to
// a server, and what the description does not allow does not compile.
//
//   node client.js URL PASSWORD
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.js";

declare const process: { argv: string[] };
const [baseUrl, password] = process.argv.slice(2) as [string, string];
const open = createClient<paths>({ baseUrl });

function must<T>(answer: { data?: T; error?: { error: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.error ?? "no body");
  return answer.data;
}

const body = (username: string) => ({ username, password, email: `${username}@example.com` });
const a = must(await open.POST("/register", { body: body("generated-a") }));
const b = must(await open.POST("/register", { body: body("generated-b") }));
const mine = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${a.token}` } });

const sent = must(await mine.POST("/messages", { params: { header: { "Idempotency-Key": "k" } }, body: { receiver_id: b.user.id, content: "from a generated client" } }));
const history: components["schemas"]["Message"][] = must(await mine.GET("/messages/{userId}", { params: { path: { userId: b.user.id }, query: { limit: 1 } } }));
if (history[0]?.id !== sent.message_id) throw new Error("another message");
const id = history[0].conversation_id;
const put = await mine.PUT("/conversations/{id}/messages/{messageId}/reactions/{emoji}", { params: { path: { id, messageId: sent.message_id, emoji: "👍" } } });
if (put.response.status !== 204) throw new Error(`${put.response.status}`);
const { conversations } = must(await mine.GET("/conversations"));
if (conversations[0]?.peer?.id !== b.user.id || conversations[0].last_message?.reactions?.[0]?.mine !== true) throw new Error("another conversation");
const group = must(await mine.POST("/conversations", { body: { name: "Team", members: [b.user.id] } }));
if (must(await mine.GET("/conversations/{id}/members", { params: { path: { id: group.id } } })).length !== 2) throw new Error("other members");
const refused = await mine.GET("/conversations/{id}", { params: { path: { id: 2 ** 40 } } });
if (refused.response.status !== 404 || !refused.error?.error) throw new Error("not refused");
// @ts-expect-error there is no such route
void (() => mine.GET("/nothing"));
// @ts-expect-error a message has a receiver
void (() => mine.POST("/messages", { body: { content: "x" } }));
// @ts-expect-error a user has no such member
void (() => a.user.password);
console.log("done");

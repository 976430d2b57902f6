// What the compiler must take, and, marked so, what it must not.
import { Chatd, ChatdError, type Message } from "../../web/chatd.js";

const chat = new Chatd({ url: "http://localhost:8080/", times: { first: 1 } });
chat.on("message", ({ content, data }) => { const id: number = data.message_id; void [id, content]; });
chat.on("state", ({ state }) => { if (state === "ended") chat.start(); });
export async function use(): Promise<Message[]> {
  const { user } = await chat.login("a", "b");
  const { message_id } = await chat.send({ receiver_id: user.id }, "x", { reply_to: 1 });
  try { await chat.edit(1, message_id, "y"); } catch (e) { if (e instanceof ChatdError && e.temporary) throw e; }
  // @ts-expect-error a message goes to somebody
  void chat.send({}, "x");
  // @ts-expect-error there is no such event
  chat.on("mesage", () => {});
  // @ts-expect-error the library says what it is
  chat.state = "online";
  return (await chat.messages(1, { limit: 5 })).items;
}

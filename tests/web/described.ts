// What the descriptions say, as types that were generated from them, is what web/chatd.d.ts says: each
// value that the server may send fits, and each member that the library names may come. It compiles,
// or the compiler names what differs.
import type { components as http } from "./openapi.js";
import type { components as live } from "./asyncapi.js";
import type * as lib from "./chatd.js";

type Sent = live["schemas"];
type Told = http["schemas"];
/* true, or what of the library's type L is not so in the description D. */
type Checked<D, L> = [D] extends [L] ? ([Names<L>] extends [Names<D>] ? true : { never_comes: Exclude<Names<L>, Names<D>> }) : { does_not_fit: D };
type Names<T> = T extends readonly unknown[] ? never : string extends keyof T ? never : T extends object ? keyof T & string : never;

type FrameTypes = { [K in keyof lib.Events]: `server_${K}` extends keyof Sent ? K : never }[keyof lib.Events];
type Frames = { [K in FrameTypes]: Checked<Sent[`server_${K}`], lib.Frame> extends true | { never_comes: unknown }
  ? Checked<Data<Sent[`server_${K}`]>, Data<lib.Events[K]>> : { is_no_frame: K } };
type Data<F> = F extends { data: infer D } ? D : {};

/* Pongs have no data, which the library's type for frames does not say. */
export const frames: { [K in Exclude<FrameTypes, "pong">]: Frames[K] } = {
  message: true, message_changed: true, conversation: true, member: true, user_status: true, typing: true, receipt: true,
  resumed: true, authenticated: true, ack: true, error: true,
};
export const answers: {
  account: Checked<Told["Account"], lib.Account>;
  entered: Checked<Told["Entered"], lib.Entered>;
  user: Checked<Told["User"], lib.User>;
  blocked: Checked<Told["Blocked"], lib.Blocked>;
  message: Checked<Told["Message"], lib.Message>;
  conversation: Checked<Told["Conversation"], lib.Conversation>;
  member: Checked<Told["Member"], lib.Member>;
} = { account: true, entered: true, user: true, blocked: true, message: true, conversation: true, member: true };

/* The types of chatd.js; what the methods do is in chatd-js(7). */

export interface ErrorDetails {
  status?: number;
  code?: string;
  temporary?: boolean;
  retryAfter?: number;
  cause?: unknown;
}
export class ChatdError extends Error {
  constructor(message: string, details?: ErrorDetails);
  readonly status: number;
  readonly code: string;
  readonly temporary: boolean;
  readonly retryAfter: number;
}

export type State = "stopped" | "connecting" | "resuming" | "online" | "waiting" | "ended";
export interface StateChange {
  state: State;
  /* ended: why another attempt would be in vain */
  reason?: "unauthorized" | "forbidden";
  /* waiting, ended: as the connection was closed */
  code?: number;
  text?: string;
  /* waiting: milliseconds until the next attempt */
  wait?: number;
}

/* A frame of the server, as chatd-protocol(7) describes it. */
export interface Frame<Data = Record<string, any>> {
  type: string;
  id?: string;
  content?: string;
  error?: string;
  data: Data;
}
export interface MessageData {
  message_id: number;
  conversation_id: number;
  sender_id: number;
  sender: string;
  receiver_id?: number;
  created_at: string;
  reply_to?: number;
  mentions?: number[];
  edited_at?: string;
  deleted?: boolean;
  reactions?: Reaction[];
  cursor: string;
}
export interface ChangedData {
  message_id: number;
  conversation_id: number;
  edited_at: string | null;
  deleted: boolean;
  mentions?: number[];
  reactions?: Reaction[];
  cursor: string;
}
export interface Reaction { emoji: string; count: number; mine?: boolean }
export interface Ack { message_id: number; cursor: string; duplicate?: boolean }

/* Where a message goes. */
export type Target = { receiver_id: number } | { conversation_id: number };

/* What waits in the outbox. message_id: the server has it, and has yet to say so. */
export interface Item {
  readonly id: string;
  readonly order: number;
  readonly type: "message" | "edit" | "delete" | "react";
  readonly content?: string;
  readonly data: Record<string, any>;
  readonly sent?: boolean;
  readonly message_id?: number;
}

export interface Events {
  state: StateChange;
  frame: Frame;
  message: Frame<MessageData>;
  message_changed: Frame<ChangedData>;
  conversation: Frame;
  member: Frame;
  user_status: Frame<{ user_id: number; online: boolean; username: string }>;
  typing: Frame<{ conversation_id: number; user_id: number; username: string }>;
  receipt: Frame<{ conversation_id: number; user_id: number; read_upto: number; delivered_upto: number }>;
  resumed: Frame<{ cursor: string; recovered: boolean }>;
  authenticated: Frame<{ user_id: number; expires_in: number }>;
  ack: Frame<Ack>;
  error: Frame<{ code: string; temporary: boolean }>;
  pong: Frame;
  outbox: readonly Item[];
  stored: { item: Item; error: null } & Ack;
  refused: { item: Item; error: ChatdError };
  unkept: { key: string; error: unknown };
}

export interface Account { id: number; username: string; email: string; display_name?: string | null; created_at?: string }
export interface Entered { token: string; token_type: string; expires_in: number; user: Account }
export interface User { id: number; username: string; display_name?: string; online: boolean; last_seen: string | null }
export interface Blocked { id: number; username: string; display_name: string | null; blocked_at: string }
export interface Message {
  id: number;
  conversation_id: number;
  sender_id: number;
  receiver_id?: number;
  content: string;
  created_at: string;
  edited_at?: string;
  deleted?: boolean;
  reply_to?: number;
  reactions?: Reaction[];
  mentions?: number[];
}
export type Role = "owner" | "admin" | "member";
export interface Conversation {
  id: number;
  kind: "direct" | "group";
  name: string | null;
  created_at: string;
  peer?: { id: number; username: string; display_name?: string; online: boolean; read_upto: number; delivered_upto: number };
  role?: Role;
  member_count?: number;
  history?: "joined" | "all";
  unread: number;
  read_upto: number;
  delivered_upto: number;
  last_message: Message | null;
}
export interface Member {
  user_id: number;
  username: string;
  display_name?: string;
  role: Role;
  since: string;
  online: boolean;
  read_upto: number;
  delivered_upto: number;
}
export interface Page<Item> { items: Item[]; next: string | null }

/* Of the Web Storage API what is used: localStorage and sessionStorage are such. */
export interface Store {
  readonly length: number;
  key(n: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}
export interface Times { first: number; most: number; steady: number; silence: number; patience: number }
export interface Options {
  url?: string | URL;
  token?: string;
  storage?: Store;
  prefix?: string;
  times?: Partial<Times>;
  WebSocket?: unknown;
  fetch?: typeof fetch;
}
export interface RequestOptions { signal?: AbortSignal; headers?: Record<string, string> }

export class Chatd {
  constructor(options?: Options);

  readonly state: State;
  readonly token: string;
  readonly outbox: readonly Item[];
  cursor: string;
  on<Type extends keyof Events>(type: Type, listener: (what: Events[Type]) => void): () => void;

  start(token?: string): this;
  stop(): void;
  check(): void;
  forget(): void;
  draft(key: string | number): string;
  setDraft(key: string | number, text: string): void;

  send(to: Target, content: string, more?: { reply_to?: number; id?: string }): Promise<Ack>;
  edit(conversation_id: number, message_id: number, content: string): Promise<Ack>;
  delete(conversation_id: number, message_id: number): Promise<Ack>;
  react(conversation_id: number, message_id: number, emoji: string, remove?: boolean): Promise<Ack>;
  cancel(id: string): void;
  typing(to: Target): void;
  delivered(conversation_id: number, message_id: number): void;
  read(conversation_id: number, message_id: number): void;

  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<any>;
  page<Item = any>(path: string, query?: Record<string, string | number | undefined>): Promise<Page<Item>>;
  register(username: string, password: string, email: string): Promise<Entered>;
  login(username: string, password: string): Promise<Entered>;
  changePassword(password: string, new_password: string): Promise<Entered>;
  logout(): Promise<void>;
  me(): Promise<Account>;
  changeMe(change: { display_name?: string | null; email?: string; password?: string }): Promise<Account>;
  users(query?: { q?: string; after?: number; limit?: number }): Promise<Page<User>>;
  blocks(): Promise<Page<Blocked>>;
  block(user_id: number): Promise<null>;
  unblock(user_id: number): Promise<null>;
  conversations(query?: { before?: string; limit?: number }): Promise<{ conversations: Conversation[]; next: string | null }>;
  conversation(id: number): Promise<Conversation>;
  openConversation(user_id: number): Promise<Conversation>;
  createGroup(name: string, members?: number[], history?: "joined" | "all"): Promise<Conversation>;
  changeGroup(id: number, change: { name?: string; history?: "joined" | "all" }): Promise<Conversation>;
  messages(id: number, query?: { before?: number; after?: number; limit?: number }): Promise<Page<Message>>;
  members(id: number, query?: { after?: number; limit?: number }): Promise<Page<Member>>;
  addMember(id: number, user_id: number, role?: "admin" | "member"): Promise<Member>;
  changeMember(id: number, user_id: number, role: Role): Promise<Member>;
  removeMember(id: number, user_id: number): Promise<null>;
}

/* The page: who it is for, and how its parts come together. */
import { Chatd } from "../chatd.js";
import { $, face, icon, say } from "./dom.js";
import { S, begin, close, end, look, open, orTell, whenChanged } from "./store.js";
import { drawSide, resetSide, setUpSide, watchLine } from "./list.js";
import { drawThread, setUpThread } from "./thread.js";
import { ask, details, newGroup } from "./dialogs.js";

const KEY = "chatd.session";

/* The token is in this tab's storage, or, for those who stay logged in, in the browser's. */
function storages() {
  try { return [sessionStorage, localStorage]; } catch { return []; } // forbidden: in memory
}
function stored(s) {
  try {
    const { token, user } = JSON.parse(s.getItem(KEY));
    if (token && user.id && user.username) return { token, user };
  } catch { /* nothing, or damaged */ }
  s.removeItem(KEY);
  return null;
}
/* Another account of this browser stays logged in. */
function forget(id) { for (const s of storages()) if (stored(s)?.user.id === id) s.removeItem(KEY); }

// --- coming in ---

let joining = false;
function offer(why = "") {
  forget(S.me?.id);
  end();
  $("app").hidden = true;
  $("enter").hidden = false;
  $("enter-why").textContent = why;
  $("enter-form").elements.username.focus();
}
function switchForm() {
  const form = $("enter-form");
  joining = !joining;
  $("enter-email").hidden = form.elements.email.disabled = !joining;
  $("enter-go").textContent = joining ? "Create the account" : "Log in";
  $("enter-other").textContent = joining ? "I have an account" : "Create an account";
  form.elements.password.autocomplete = joining ? "new-password" : "current-password";
  $("enter-error").textContent = "";
}
async function enter(event) {
  event.preventDefault();
  const { username, password, email, stay } = $("enter-form").elements, go = $("enter-go"), chat = new Chatd();
  go.disabled = true;
  $("enter-error").textContent = "";
  try {
    const { token, user } = await (joining ? chat.register(username.value, password.value, email.value) : chat.login(username.value, password.value));
    storages()[stay.checked ? 1 : 0]?.setItem(KEY, JSON.stringify({ token, user }));
    password.value = "";
    if (joining) switchForm();
    run({ token, user });
  } catch (error) { $("enter-error").textContent = error.message; } finally { go.disabled = false; }
}

// --- being there ---

function run({ token, user }) {
  const chat = begin(user, token, storages()[1]);
  chat.on("state", ({ state, reason, text }) => {
    if (state === "ended") offer(reason === "forbidden" ? text || "This account may not connect." : "Your session has ended. Log in again; what you wrote is kept.");
  });
  $("enter").hidden = true;
  $("app").hidden = false;
  $("me-name").textContent = user.username;
  face($("me-face"), user.username, user.id);
  watchLine();
  resetSide();
  chat.start();
}
async function choose(c) {
  c.mentioned = false;
  await orTell(open(c));
  if (matchMedia("(pointer: fine)").matches) $("text").focus(); else $("title").focus();
}
function leave() {
  const waits = S.chat.outbox.length;
  ask("Log out?", `${waits ? `${waits} unsent messages and all` : "All"} drafts are deleted, and every device of yours is logged out.`, "Log out", async () => {
    const { chat } = S;
    try { await chat.logout(); } catch (error) {
      if (error.code !== "unauthorized") { if (chat === S.chat) chat.start(); throw error; }
    } // a token that is void already: out is out
    chat.forget();
    offer();
  });
}

for (const [id, name] of Object.entries({ "new-group": "plus", "log-out": "leave", back: "back", details: "people", send: "send", "about-end": "close" })) $(id).append(icon(name));
$("enter-form").onsubmit = enter;
$("enter-other").onclick = switchForm;
$("new-group").onclick = () => newGroup(choose);
$("log-out").onclick = leave;
$("back").onclick = () => { const { id } = S.open; close(); setTimeout(() => $("chats").querySelector(`[data-key="${id}"] button`)?.focus()); };
$("details").onclick = () => S.open.members && details(S.open);
setUpSide(choose);
setUpThread();
whenChanged(drawSide);
whenChanged(() => S.me && drawThread());
addEventListener("online", () => S.chat?.check());
addEventListener("focus", look);
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") { S.chat?.check(); look(); } });
const session = storages().map(stored).find(Boolean);
if (session) run(session); else offer();

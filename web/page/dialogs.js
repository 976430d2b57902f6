/* Groups: making one; its name, members and roles. Questions before what cannot be taken back. */
import { $, el } from "./dom.js";
import { S, fetchConversation, forgetConversation, learn, loadMembers, nameOf, orTell } from "./store.js";

/* Shows a form; act(form) on its submission, which may throw: that is shown, and the form stays. */
function showForm(title, act, yes, ...parts) {
  const dialog = $("dialog"), error = el("p.error", { role: "alert" });
  const form = el("form", { method: "dialog", onsubmit: async (event) => {
    event.preventDefault();
    try { await act(form); dialog.close(); } catch (e) { error.textContent = e.message; }
  } }, el("h2", { id: "dialog-title", dir: "auto" }, title), ...parts, error, el("div.ends", {},
    el("button.plain", { type: "button", onclick: () => dialog.close() }, act ? "Cancel" : "Close"),
    act && el(`button.${yes.kind ?? "primary"}`, {}, yes.text)));
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.showModal();
  return dialog;
}
export function ask(title, text, yes, act) {
  showForm(title, act, { text: yes, kind: "danger" }, el("p", {}, text));
}

/* A list to choose people from, by name; those in without are not offered. */
function picker(without) {
  const list = el("ul.pick", { ariaLabel: "People" }), chosen = new Map();
  const find = el("input", { type: "search", placeholder: "Find by username", ariaLabel: "Find by username", dir: "auto" });
  const load = async () => {
    const q = find.value.trim(), { items } = await S.chat.users({ q, limit: 50 });
    if (q !== find.value.trim()) return;
    items.forEach(learn);
    const all = [...new Set([...chosen.keys(), ...items.map((u) => u.id)])].filter((id) => id !== S.me.id && !without.has(id));
    list.replaceChildren(...all.map((id) => el("li", {}, el("label.check", {}, el("input", { type: "checkbox", checked: chosen.has(id),
      onchange: ({ target }) => (target.checked ? chosen.set(id) : chosen.delete(id)) }), el("span", { dir: "auto" }, nameOf(id))))));
  };
  find.oninput = () => orTell(load());
  orTell(load());
  return { chosen, parts: [find, list] };
}
const nameField = (value) => el("input", { name: "name", required: true, maxLength: 64, dir: "auto", value });
const historyField = () => el("label", {}, "Whoever joins later sees",
  el("select", { name: "history" }, el("option", { value: "joined" }, "what is sent from then on"), el("option", { value: "all" }, "everything")));

export function newGroup(chosen) {
  const { chosen: people, parts } = picker(new Set());
  showForm("New group", async ({ elements: { name, history } }) => {
    const made = await S.chat.createGroup(name.value.trim(), [...people.keys()], history.value);
    chosen(await fetchConversation(made.id));
  }, { text: "Create" }, el("label", {}, "Name", nameField("")), ...parts, historyField());
}

function addMembers(c) {
  const { chosen, parts } = picker(c.members);
  showForm(`Add to ${c.name}`, async () => { for (const id of chosen.keys()) await S.chat.addMember(c.id, id); }, { text: "Add" }, ...parts);
}
function member(c, m) {
  const owner = c.role === "owner", me = m.user_id === S.me.id, name = nameOf(m.user_id);
  const role = el("select", { ariaLabel: `Role of ${name}`, onchange: async () => {
    await orTell(S.chat.changeMember(c.id, m.user_id, role.value));
    await orTell(Promise.all([fetchConversation(c.id), loadMembers(c)]));
    role.value = c.members.get(m.user_id)?.role;
    if (c.role !== "owner") details(c);
  } }, ...["owner", "admin", "member"].map((r) => el("option", {}, r)));
  role.value = m.role;
  return el("li", {}, el("span", { dir: "auto" }, name), owner && !me ? role : el("span.note", {}, m.role),
    !me && (owner || (c.role === "admin" && m.role === "member")) && el("button.danger", { type: "button", ariaLabel: `Remove ${name}`, onclick: () =>
      ask(`Remove ${name}?`, "They keep what was said until now.", "Remove", () => S.chat.removeMember(c.id, m.user_id)) }, "Remove"));
}
export function details(c) {
  const may = c.role !== "member", all = [...c.members.values()];
  const save = async ({ elements: { name } }) => {
    await S.chat.changeGroup(c.id, { name: name.value.trim() });
    await fetchConversation(c.id);
  };
  showForm(c.name, may && save, { text: "Save" }, ...[may && el("label", {}, "Name", nameField(c.name)),
    el("ul.pick", { ariaLabel: "Members" }, ...all.map((m) => member(c, m))),
    el("div.ends", {}, may && el("button.plain", { type: "button", onclick: () => addMembers(c) }, "Add members"),
      el("button.danger", { type: "button", onclick: () => ask(`Leave ${c.name}?`, "You no longer see what is said there.", "Leave", async () => {
        await S.chat.removeMember(c.id, S.me.id);
        forgetConversation(c);
      }) }, "Leave the group"))].filter(Boolean));
}

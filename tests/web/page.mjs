/*
 * Scenarios of the page in a browser, each by its name; see page.bats.
 *
 *   BROWSER=chromium|firefox node page.mjs NAME
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { BUILD, Network, PASSWORD, account, eventually, next, packages, sql, startServer } from "./servers.mjs";

const browsers = packages("playwright-core"), firefox = process.env.BROWSER === "firefox";
// Debian's Firefox, which Playwright has not patched, by WebDriver BiDi.
const browser = await (firefox ? browsers.firefox.launch({ channel: "moz-firefox", executablePath: "/usr/bin/firefox-esr" })
  : browsers.chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] }));
const range = (n) => Array.from({ length: n }, (_, i) => i);
let number = 0;

/* Somebody at a page of their own. What the browser complains of is kept: see complaints(). */
class Person {
  static async at(url, { name, ...options } = {}) {
    const who = new Person();
    who.name = name ?? `u${process.pid.toString(36)}${(++number).toString(36)}`;
    who.context = await browser.newContext({ viewport: { width: 1100, height: 760 }, locale: "en-GB", timezoneId: "UTC", ...options });
    who.page = await who.context.newPage();
    who.page.setDefaultTimeout(20000);
    who.complaints = [];
    who.page.on("pageerror", (error) => who.complaints.push(String(error)));
    who.page.on("console", (m) => { if (m.type() === "error") who.complaints.push(m.text()); });
    await who.page.goto(url);
    return who;
  }
  static async joins(url, options = {}) {
    const who = await Person.at(url, options);
    await who.page.getByRole("button", { name: "Create an account" }).click();
    await who.page.getByLabel("Username", { exact: true }).fill(who.name);
    await who.page.getByLabel("Email", { exact: true }).fill(`${who.name}@example.com`);
    await who.page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await who.page.getByRole("button", { name: "Create the account" }).click();
    await who.says("Connected");
    who.id = Number(sql(`select id from users where username = '${who.name}'`));
    return who;
  }
  says(text) { return this.page.locator("#line-text", { hasText: text }).waitFor(); }
  async opens(name) {
    await this.page.getByRole("tab", { name: "People" }).click();
    await this.page.locator("#people .row", { hasText: name }).click();
    await this.page.getByRole("heading", { level: 2, name }).waitFor();
    await this.page.getByRole("tab", { name: "Chats" }).click();
  }
  async writes(text) {
    await this.page.getByLabel("Message", { exact: true }).fill(text);
    await this.page.keyboard.press("Enter");
  }
  chat(name) { return this.page.locator("#chats .row", { has: this.page.locator("b", { hasText: name }) }); }
  message(text) { return this.page.locator(".message", { has: this.page.locator(".words", { hasText: text }) }); }
  words() { return this.page.locator(".message .words").allTextContents(); }
  async choose(text, item) {
    await this.message(text).hover();
    await this.message(text).locator(".more").click();
    await this.page.getByRole("menuitem", { name: item }).click();
  }
  async shows(text, state) { await this.message(text).locator(".state", { hasText: state }).waitFor(); }
  /* As when the network is back: the page does not wait any longer. */
  notices() { return this.page.evaluate(() => { dispatchEvent(new Event("online")); }); }
  /* Errors other than those of a network that was cut on purpose. */
  fine() { assert.deepEqual(this.complaints.filter((c) => !/WebSocket connection|ERR_|Failed to load resource|(to the server at|connection to) ws:/.test(c)), []); }
}
const both = (options) => startServer(options).then(async (server) => {
  const way = await Network.before(server);
  return { server, way, alice: await Person.joins(way.url), bob: await Person.joins(way.url) };
});
const contents = (where) => sql(`select coalesce(json_agg(content order by id), '[]') from messages where ${where}`);

async function audit(who, what) {
  await who.page.evaluate(packages("node:fs").readFileSync(packages.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations, passes } = await who.page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  assert.ok(passes.length > 10);
  assert.deepEqual(violations.map((v) => [what, v.id, v.nodes.map((n) => `${n.target} ${n.failureSummary}`)]), []);
}

const scenarios = {
  async talk() {
    const { way, alice, bob } = await both();
    await alice.opens(bob.name);
    await alice.writes("Hello!");
    await alice.shows("Hello!", "Delivered");
    await bob.chat(alice.name).locator(".count", { hasText: "1" }).waitFor();
    await eventually("the title counts", async () => await bob.page.title() === "(1) chatd");
    await bob.chat(alice.name).click();
    await bob.message("Hello!").waitFor();
    await alice.shows("Hello!", "Read");
    await eventually("nothing is unread", async () => await bob.page.title() === "chatd");
    await bob.page.getByLabel("Message", { exact: true }).pressSequentially("H");
    await alice.page.locator("#under-title", { hasText: `${bob.name} is writing` }).waitFor();
    await bob.choose("Hello!", "Reply");
    await bob.writes("Hello to you");
    await alice.message("Hello to you").locator(".quote", { hasText: "You: Hello!" }).waitFor();
    await alice.choose("Hello to you", "👍");
    await bob.message("Hello to you").getByRole("button", { name: "👍, 1", pressed: false }).click();
    await alice.message("Hello to you").getByRole("button", { name: "👍, 2", pressed: true }).click();
    await bob.message("Hello to you").getByRole("button", { name: "👍, 1", pressed: true }).waitFor();
    await alice.choose("Hello!", "Edit");
    await alice.writes("Hello, Bob!");
    await bob.message("Hello, Bob!").locator(".meta", { hasText: "edited" }).waitFor();
    await alice.choose("Hello, Bob!", "Delete");
    await bob.message("This message was deleted").waitFor();
    // Two words for oneself.
    await alice.page.getByRole("tab", { name: "People" }).click();
    await alice.page.locator("#people .row", { hasText: `${alice.name} (you)` }).click();
    await alice.writes("A note");
    // The frame of a note to oneself may come before its acknowledgement: then it stands there twice for that long.
    await eventually("the note is acknowledged", async () => await alice.page.locator(".message.waiting").count() === 0
      && (await alice.words()).join() === "A note");
    alice.fine(); bob.fine(); way.close();
  },

  async interruptions() {
    const { server, way, alice, bob } = await both();
    await alice.opens(bob.name);
    await alice.writes("0");
    await bob.chat(alice.name).click();
    await bob.message("0").waitFor();
    await bob.page.getByLabel("Message", { exact: true }).fill("a draft of Bob's");
    // The network is cut: what is written waits, and says so.
    way.cut();
    await alice.says("No connection");
    for (const i of range(5)) await alice.writes(`cut ${i}`);
    await alice.shows("cut 4", "Waiting for the connection");
    assert.equal(contents(`sender_id = ${alice.id}`), '["0"]');
    way.up = true;
    await Promise.all([alice.notices(), bob.notices()]);
    await alice.shows("cut 4", "Read");
    await alice.says("Connected again");
    await bob.message("cut 4").waitFor();
    // The acknowledgement is lost, not the message.
    way.hold();
    await alice.writes("held");
    await alice.shows("held", "Sending");
    await eventually("it is stored", () => contents(`sender_id = ${alice.id}`).includes("held"));
    way.cut(true);
    await alice.shows("held", "Read");
    // The server is restarted.
    await server.stop();
    await bob.says("No connection");
    await alice.writes("while it was away");
    way.to(await startServer());
    await Promise.all([alice.notices(), bob.notices()]);
    await alice.shows("while it was away", "Read");
    await bob.says("Connected again; missed");
    // And a page that was away for long is told what it has missed.
    const cut = await Network.before({ port: way.port }), carol = await Person.joins(cut.url);
    await carol.opens(alice.name);
    await carol.writes("from Carol");
    cut.cut();
    await carol.says("No connection");
    await alice.opens(carol.name);
    for (const i of range(3)) await alice.writes(`missed ${i}`);
    await alice.shows("missed 2", "Stored");
    cut.up = true;
    await carol.notices();
    await carol.says("Connected again; missed 3 messages");
    await carol.message("missed 2").waitFor();
    await alice.chat(bob.name).click();
    const all = JSON.parse(contents(`sender_id = ${alice.id} and receiver_id = ${bob.id}`));
    assert.deepEqual(all, ["0", ...range(5).map((i) => `cut ${i}`), "held", "while it was away"]);
    for (const who of [alice, bob]) await eventually("they show the same", async () => JSON.stringify(await who.words()) === JSON.stringify(all));
    assert.equal(await bob.page.getByLabel("Message", { exact: true }).inputValue(), "a draft of Bob's");
    // A new page knows the draft, and shows it where it is not open.
    await bob.page.reload();
    await bob.chat(alice.name).getByText("Draft: a draft of Bob's").waitFor();
    await bob.chat(alice.name).click();
    assert.equal(await bob.page.getByLabel("Message", { exact: true }).inputValue(), "a draft of Bob's");
    for (const who of [alice, bob, carol]) who.fine();
    cut.close(); way.close();
  },

  async groups() {
    const { way, alice, bob } = await both(), carol = await Person.joins(way.url);
    const dialog = alice.page.getByRole("dialog");
    await alice.page.getByRole("button", { name: "New group" }).click();
    await dialog.getByLabel("Name", { exact: true }).fill("Team");
    await dialog.getByRole("checkbox", { name: bob.name }).check();
    await dialog.getByRole("button", { name: "Create" }).click();
    await alice.page.getByRole("heading", { name: "Team" }).waitFor();
    await bob.chat("Team").click();
    await alice.page.getByLabel("Message", { exact: true }).pressSequentially(`Hello @${bob.name.slice(0, -1)}`);
    await alice.page.getByRole("button", { name: `@${bob.name}` }).waitFor();
    await alice.page.keyboard.press("Tab");
    await alice.page.keyboard.press("Enter");
    await bob.page.locator(".mention.me", { hasText: `@${bob.name}` }).waitFor();
    await alice.shows("Hello", "Read by all");
    await alice.page.getByRole("button", { name: "Members and settings" }).click();
    await dialog.getByLabel(`Role of ${bob.name}`).selectOption("admin");
    await eventually("he is an admin", () => sql(`select role from members where user_id = ${bob.id} order by conversation_id desc limit 1`) === "admin");
    await dialog.getByLabel("Name", { exact: true }).fill("Crew");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.waitFor({ state: "hidden" });
    await bob.page.getByRole("heading", { name: "Crew" }).waitFor();
    // An admin may add, and remove who is only a member.
    const his = bob.page.getByRole("dialog");
    await bob.page.getByRole("button", { name: "Members and settings" }).click();
    await his.getByRole("button", { name: "Add members" }).click();
    await his.getByRole("checkbox", { name: carol.name }).check();
    await his.getByRole("button", { name: "Add" }).click();
    await his.waitFor({ state: "hidden" });
    await carol.chat("Crew").click();
    await carol.writes("Thank you");
    await alice.message("Thank you").locator(".sender", { hasText: carol.name }).waitFor();
    await bob.choose("Thank you", "Delete");
    await carol.message("This message was deleted").waitFor();
    await bob.page.getByRole("button", { name: "Members and settings" }).click();
    await his.getByRole("button", { name: `Remove ${carol.name}` }).click();
    await his.getByRole("button", { name: "Remove" }).click();
    await carol.page.getByText("You are no longer in Crew").waitFor();
    assert.equal(await carol.chat("Crew").count(), 0);
    await eventually("two are left", async () => await alice.page.locator("#under-title").textContent() === "2 members");
    // The owner leaves; the admin is the owner then.
    await alice.page.getByRole("button", { name: "Members and settings" }).click();
    await dialog.getByRole("button", { name: "Leave the group" }).click();
    await dialog.getByRole("button", { name: "Leave" }).click();
    await eventually("it is gone", async () => await alice.chat("Crew").count() === 0);
    await bob.page.getByRole("button", { name: "Members and settings" }).click();
    await his.getByText("owner").waitFor();
    // What the server refuses is said, and the form stays.
    await his.getByLabel("Name", { exact: true }).fill(" ");
    await his.getByRole("button", { name: "Save" }).click();
    await his.getByRole("alert").filter({ hasText: /./ }).waitFor();
    await bob.page.keyboard.press("Escape");
    await his.waitFor({ state: "hidden" });
    for (const who of [alice, bob, carol]) who.fine();
    way.close();
  },

  async keyboard() {
    const server = await startServer(), bob = await account(server.url), alice = await Person.at(server.url), { page } = alice, { keyboard } = page;
    const focused = () => page.evaluate(() => document.activeElement.ariaLabel || document.activeElement.textContent.trim());
    bob.chat.start();
    const press = async (...keys) => { for (const key of keys) await keyboard.press(key); };
    await page.locator("#enter-form").waitFor();
    for (const _ of range(5)) { if (await focused() === "Create an account") break; await press("Tab"); }
    await press("Enter", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab");
    await page.getByLabel("Username", { exact: true }).focus();
    await keyboard.type("keys"); await press("Tab");
    await keyboard.type("keys@example.com"); await press("Tab");
    await keyboard.type(PASSWORD); await press("Enter");
    await alice.says("Connected");
    await page.getByRole("tab", { name: "Chats" }).focus();
    await press("ArrowRight");
    await page.locator("#people .row", { hasText: bob.name }).waitFor();
    await press("Tab"); await keyboard.type(bob.name);
    await eventually("one is found", async () => await page.locator("#people .row").count() === 1);
    await press("Tab", "Enter");
    await eventually("the field has the focus", async () => await focused() === "Message");
    const heard = next(bob.chat, "message");
    await keyboard.type("one"); await press("Shift+Enter"); await keyboard.type("two"); await press("Enter");
    const { content, data } = await heard;
    assert.equal(content, "one\ntwo");
    await bob.chat.send({ conversation_id: data.conversation_id }, "answer");
    await page.locator("#say", { hasText: `${bob.name}: answer` }).waitFor({ state: "attached" });
    // To the messages, to the last one, and what can be done with it.
    await press("Shift+Tab", "ArrowUp");
    await eventually("the answer has the focus", async () => (await focused()).includes("answer"));
    const reacted = next(bob.chat, "message_changed");
    await press("Enter");
    await eventually("the menu is open", async () => await focused() === "👍");
    await press("ArrowRight", "Enter");
    assert.equal((await reacted).data.reactions[0].emoji, "❤️");
    await eventually("the focus is back", async () => (await focused()).includes("answer"));
    await press("Enter", "Escape", "Home");
    await eventually("the first has the focus", async () => (await focused()).includes("one"));
    // The last own one is edited from the empty field.
    await page.getByLabel("Message", { exact: true }).focus();
    const edited = next(bob.chat, "message_changed", (f) => f.content === "three");
    await press("ArrowUp", "Control+a"); await keyboard.type("three"); await press("Enter");
    await edited;
    await press("ArrowUp", "Escape");
    assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "");
    alice.fine(); bob.chat.stop();
  },

  async hostile() {
    const { way, alice, bob } = await both();
    const texts = ['<img src=x onerror="document.title=1"><script>document.title=2</script>', "<b>bold</b> &amp; </script>", "javascript:alert(1) http://a.example/?q=\"><i>",
      "شكرا جزيلا! See http://a.example/x.", "x".repeat(3000), "a\n\n\nb\t c", "\u202egnp.exe", "@nobody @", "👩‍👩‍👧‍👦 e\u0301", "'); drop table messages; --"];
    await alice.opens(bob.name);
    for (const text of texts) await alice.writes(text);
    await bob.chat(alice.name).click();
    await bob.message("drop table").waitFor();
    for (const who of [alice, bob]) {
      await eventually("the texts as they are", async () => JSON.stringify(await who.words()) === JSON.stringify(texts));
      assert.equal(await who.page.locator("#messages :is(img, script, b, i)").count(), 0);
      assert.deepEqual(await who.page.locator("#messages a").evaluateAll((all) => all.map((a) => [a.href, a.rel])),
        [["http://a.example/?q=", "noopener noreferrer"], ["http://a.example/x", "noopener noreferrer"]]);
      // Nothing makes the page wider than its window.
      assert.ok(await who.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector("#log").scrollWidth <= document.querySelector("#log").clientWidth));
      who.fine();
    }
    assert.equal(await bob.page.locator(".words", { hasText: "شكرا" }).evaluate((e) => getComputedStyle(e).direction), "rtl");
    // The policy holds: no script but its own, no other server.
    const page = bob.page;
    assert.match(await page.evaluate(() => { try { document.body.innerHTML = "<p>"; return "taken"; } catch (e) { return String(e); } }), /TrustedHTML/);
    assert.equal(await page.evaluate(() => new Promise((done) => { document.addEventListener("securitypolicyviolation", (e) => done(e.effectiveDirective)); const s = document.createElement("style"); s.textContent = "a{}"; document.head.append(s); })), "style-src-elem");
    assert.equal(await page.evaluate((url) => fetch(url).then(() => "fetched", () => "refused"), (await startServer()).url), "refused");
    way.close();
  },

  async session() {
    const { way, alice, bob } = await both({ max_content: 100 });
    // A name that is taken, a password that is wrong.
    const other = await Person.at(way.url), form = other.page;
    await form.getByLabel("Username", { exact: true }).fill(alice.name);
    await form.getByLabel("Password", { exact: true }).fill("wrong");
    await form.getByRole("button", { name: "Log in" }).click();
    await form.getByRole("alert").filter({ hasText: /password/i }).waitFor();
    await form.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await form.getByLabel("Stay logged in").check();
    await form.getByRole("button", { name: "Log in" }).click();
    await other.says("Connected");
    // Another device of hers: it shows what this one writes, and what is read there is read here.
    await alice.opens(bob.name);
    await alice.writes("from one device");
    await other.chat(bob.name).click();
    await other.message("from one device").waitFor();
    const [again] = [await other.context.newPage()];
    await again.goto(way.url);
    await again.locator("#line-text", { hasText: "Connected" }).waitFor();
    // What the server refuses is shown as not sent, and can be sent again or discarded.
    await alice.writes("x".repeat(101));
    await alice.shows("xxx", "Not sent");
    await alice.choose("xxx", "Discard");
    await eventually("it is gone", async () => await alice.message("xxx").count() === 0);
    // Her tokens become void: back to the door, and what she wrote is kept.
    way.cut();
    await alice.says("No connection");
    await alice.writes("written in vain?");
    sql(`select user_logout('${alice.name}')`);
    way.up = true;
    await Promise.all([alice.notices(), other.notices()]);
    await alice.page.getByText("Your session has ended").waitFor();
    await other.page.getByText("Your session has ended").waitFor();
    await alice.page.getByLabel("Username", { exact: true }).fill(alice.name);
    await alice.page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await alice.page.getByRole("button", { name: "Log in" }).click();
    await eventually("it is sent", () => contents(`sender_id = ${alice.id}`).includes("written in vain?"));
    // Logging out deletes what is kept.
    await alice.chat(bob.name).click();
    await alice.page.getByLabel("Message", { exact: true }).fill("a draft");
    await alice.page.getByRole("button", { name: "Log out" }).click();
    await alice.page.getByRole("dialog").getByRole("button", { name: "Log out" }).click();
    await alice.page.locator("#enter-form").waitFor();
    assert.deepEqual(await alice.page.evaluate(() => [localStorage.length, sessionStorage.length]), [0, 0]);
    for (const who of [alice, bob, other]) who.fine();
    way.close();
  },

  async leaving() {
    const { way, alice, bob } = await both(), { page } = alice, dialog = page.getByRole("dialog");
    const leave = async () => {
      await page.getByRole("button", { name: "Log out" }).click();
      await dialog.getByRole("button", { name: "Log out" }).click();
    };
    await alice.opens(bob.name);
    await page.route("**/logout", (route) => route.fulfill({ status: 503 }));
    await leave();
    await dialog.getByRole("alert").filter({ hasText: "status 503" }).waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await alice.writes("still here");
    await alice.shows("still here", "Delivered");
    // The token is void already; and somebody else stays logged in.
    await page.getByLabel("Message", { exact: true }).fill("a draft");
    await page.evaluate(() => localStorage.setItem("chatd.session", '{"token":"t","user":{"id":0.5,"username":"x"}}'));
    await page.unroute("**/logout");
    await page.route("**/logout", (route) => route.fulfill({ status: 401, headers: { "WWW-Authenticate": 'Bearer error="invalid_token"' } }));
    await leave();
    await page.locator("#enter-form").waitFor();
    await dialog.waitFor({ state: "hidden" });
    assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), sessionStorage.length]), [["chatd.session"], 0]);
    alice.fine(); way.close();
  },

  async storage() {
    const { way, alice, bob } = await both(), { page } = alice, field = page.getByLabel("Message", { exact: true });
    // Damaged: removed, and the page is there.
    await page.evaluate((id) => { localStorage.setItem(`chatd.${id}.out.x`, "{"); localStorage.setItem("chatd.session", "{"); }, alice.id);
    await page.reload();
    await alice.says("Connected");
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => !key.endsWith(".cursor"))), []);
    await bob.page.evaluate(() => { sessionStorage.setItem("chatd.session", "{"); });
    await bob.page.reload();
    await bob.page.locator("#enter-form").waitFor();
    assert.equal(await bob.page.evaluate(() => sessionStorage.length), 0);
    // Full, without a connection: what was written stays in its field, as a draft.
    await page.evaluate((id) => {
      for (let i = 1; i <= 1000; i++) localStorage.setItem(`chatd.${id}.out.${i}`, JSON.stringify({ id: String(i), order: i, type: "edit", content: "x", data: {} }));
    }, alice.id);
    await page.addInitScript(() => { globalThis.WebSocket = class { close() {} }; });
    await page.reload();
    await alice.opens(bob.name);
    await alice.writes("one more");
    await page.locator("#toast", { hasText: "Too much waits" }).waitFor();
    assert.equal(await field.inputValue(), "one more");
    assert.ok(await page.evaluate(() => Object.values(localStorage).includes("one more")));
    alice.fine(); bob.fine(); way.close();
  },

  async long_history() {
    const { way, alice, bob } = await both();
    sql(`insert into messages (sender_id, receiver_id, content) select ${bob.id}, ${alice.id}, 'number ' || i from generate_series(1, 180) i`);
    await alice.page.reload();
    await alice.chat(bob.name).click();
    await alice.message("number 180").waitFor();
    assert.equal((await alice.words()).length, 50);
    while (await alice.page.locator("#older").isVisible()) await alice.page.locator("#log").evaluate((box) => { box.scrollTop = 0; box.dispatchEvent(new Event("scroll")); });
    await eventually("all are there", async () => (await alice.words()).length === 180);
    assert.deepEqual(await alice.words(), range(180).map((i) => `number ${i + 1}`));
    // One who reads what is old is not taken to the end, and is told.
    await alice.page.locator("#log").evaluate((box) => { box.scrollTop = 500; });
    await bob.chat(alice.name).click();
    await bob.writes("number 181");
    await alice.page.locator("#down", { hasText: "1 new" }).waitFor();
    assert.ok(await alice.page.locator("#log").evaluate((box) => box.scrollTop < 3000));
    await bob.shows("number 181", "Delivered");
    await alice.page.locator("#down").click();
    await bob.shows("number 181", "Read");
    alice.fine(); bob.fine(); way.close();
  },

  /* An answer that was made before a receipt came, and comes after it. */
  async late_answer() {
    const { way, alice, bob } = await both();
    await alice.opens(bob.name);
    await alice.writes("one");
    await alice.shows("one", "Delivered");
    let held, release;
    const reached = new Promise((done) => { held = done; }), gate = new Promise((done) => { release = done; });
    await alice.page.route((url) => url.pathname === "/conversations", async (route) => {
      const response = await route.fetch();
      held();
      await gate;
      await route.fulfill({ response, body: (await response.text()).replace(/"username":"(\w+)"/, '"username":"$1","display_name":"Late"') });
    });
    way.cut(true);
    await reached;
    await bob.notices();
    await bob.chat(alice.name).click();
    await alice.shows("one", "Read");
    release();
    await alice.chat("Late").waitFor();
    assert.equal(await alice.message("one").locator(".state").textContent(), "Read");
    alice.fine(); bob.fine(); way.close();
  },

  /* In both colour schemes and at phone width: nothing that axe-core finds, and pictures to look at. */
  async looks() {
    const pictures = `${BUILD}/web/pictures`;
    mkdirSync(pictures, { recursive: true });
    for (const colorScheme of ["light", "dark"]) {
      const server = await startServer(), way = await Network.before(server);
      const names = { light: { alice: "alice", bob: "bob" }, dark: { alice: "anna", bob: "ben" } }[colorScheme];
      const alice = await Person.joins(way.url, { colorScheme, name: names.alice }), bob = await Person.joins(way.url, { colorScheme, name: names.bob, viewport: { width: 390, height: 780 } });
      const shot = async (who, what) => { await who.page.screenshot({ path: `${pictures}/${what}-${colorScheme}.png` }); await audit(who, `${what} ${colorScheme}`); };
      const door = await Person.at(way.url, { colorScheme });
      await shot(door, "door");
      for (const name of ["Carol", "Dimitri", "عائشة"]) sql(`update users set display_name = '${name}' where id = ${(await account(way.url)).id}`);
      sql(`insert into messages (sender_id, receiver_id, content, created_at) values (${bob.id}, ${alice.id}, 'Did the boat arrive?', now() - interval '1 day'), (${alice.id}, ${bob.id}, 'It did, in the evening. Two boxes are wet, the rest is fine.', now() - interval '1 day')`);
      await alice.opens(names.bob);
      await alice.writes("Good morning! Shall we open the wet ones first?");
      await alice.writes("I can be there at ten.");
      await bob.chat(names.alice).click();
      await bob.message("at ten").waitFor();
      await bob.choose("wet ones first", "Reply");
      await bob.writes("Yes, before it gets worse. The list is at https://example.org/boxes");
      await bob.writes("شكرا جزيلا");
      await alice.message("شكرا").waitFor();
      await alice.choose("before it gets worse", "👍");
      await bob.message("before it gets worse").getByRole("button", { name: "👍, 1" }).waitFor();
      await alice.page.getByRole("button", { name: "New group" }).click();
      const dialog = alice.page.getByRole("dialog");
      await dialog.getByLabel("Name", { exact: true }).fill("Harbour");
      await dialog.getByRole("checkbox", { name: names.bob }).check();
      await shot(alice, "new-group");
      await dialog.getByRole("button", { name: "Create" }).click();
      await alice.page.getByRole("heading", { name: "Harbour" }).waitFor();
      await alice.writes(`@${names.bob} can you bring the key?`);
      await alice.page.getByRole("button", { name: "Members and settings" }).click();
      await dialog.getByText("owner").first().waitFor();
      await shot(alice, "members");
      await alice.page.keyboard.press("Escape");
      await alice.chat(names.bob).click();
      await alice.message("شكرا").waitFor();
      await alice.message("at ten").focus();
      await alice.page.keyboard.press("Enter");
      await shot(alice, "menu");
      await alice.page.keyboard.press("Escape");
      await shot(alice, "chat");
      // What README shows, for which tests/tools/pictures makes it smaller.
      await alice.page.setViewportSize({ width: 860, height: 560 });
      await alice.page.getByLabel("Message", { exact: true }).focus();
      await alice.page.screenshot({ path: `${pictures}/readme-${colorScheme}.png` });
      await alice.page.setViewportSize({ width: 1100, height: 760 });
      await shot(bob, "phone-chat");
      await bob.page.getByRole("button", { name: "Back" }).click();
      await bob.page.locator("#chats .count").waitFor();
      await shot(bob, "phone-list");
      await alice.page.getByRole("tab", { name: "People" }).click();
      await alice.page.locator("#people .row").nth(2).waitFor();
      await shot(alice, "people");
      way.cut();
      await alice.says("No connection");
      await alice.page.getByRole("tab", { name: "Chats" }).click();
      await alice.writes("Are you there?");
      await alice.shows("Are you there?", "Waiting for the connection");
      await shot(alice, "away");
      way.close();
      await server.stop();
    }
  },
};

const name = process.argv[2];
assert.ok(Object.hasOwn(scenarios, name), `no scenario ${name}; there are: ${Object.keys(scenarios).join(" ")}`);
try { await scenarios[name](); } finally { await browser.close(); }
process.exit(0);

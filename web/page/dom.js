/* Elements, and what people are told beside them. Texts become text nodes, never HTML. */

export const $ = (id) => document.getElementById(id);

/* el("button.plain", {ariaLabel: "Close", onclick}, "text", child...): properties, and attributes
 * where a browser has no property of that name. */
export function el(kind, props = {}, ...children) {
  const [tag, ...classes] = kind.split("."), element = document.createElement(tag);
  element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name.replace("aria", "aria-"), value);
  }
  element.append(...children.filter((c) => c !== null && c !== false && c !== undefined));
  return element;
}

const PATHS = {
  back: "M15 5l-7 7 7 7", send: "M4 12l16-8-6 16-3-6z", more: "M5 12h.01M12 12h.01M19 12h.01",
  plus: "M12 5v14M5 12h14", close: "M6 6l12 12M18 6L6 18", leave: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  people: "M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3 19q0-5 6-5t6 5M16 5a3 3 0 0 1 0 6M18 14q3 1 3 5",
  wait: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3 2", one: "M5 13l4 4L19 7", two: "M2 13l4 4L15 8M11 16l1 1L22 7",
};
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export function face(element, name, id, more = "") {
  element.className = `face ${more}`;
  element.textContent = [...name][0] ?? "";
  element.style.setProperty("--hue", (id * 67) % 360);
  return element;
}

/* Makes the children of a list those of the items, in order, and keeps the elements of those that
 * stay: so they keep the focus. draw(element, item) is called where sign(item) has changed. */
export function fill(list, items, key, make, sign, draw) {
  const old = new Map([...list.children].map((c) => [c.dataset.key, c]));
  let at = list.firstElementChild;
  for (const item of items) {
    const k = String(key(item)), now = sign(item);
    let element = old.get(k);
    old.delete(k);
    if (!element) { element = make(item); element.dataset.key = k; }
    if (element === at) at = at.nextElementSibling;
    else list.insertBefore(element, at);
    if (element.sign !== now) { element.sign = now; draw(element, item); }
  }
  for (const element of old.values()) element.remove();
}

/* For those who hear the page. */
export function say(text) { $("say").textContent = text; }

let toastTimer;
export function toast(text) {
  $("toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").textContent = ""; }, 7000);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const SHORT = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
export const clock = (iso) => CLOCK.format(new Date(iso));
export const day = (iso) => DAY.format(new Date(iso));
export const brief = (iso) => (day(iso) === day(Date.now()) ? CLOCK : SHORT).format(new Date(iso));

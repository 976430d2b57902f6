/*
 * A picture of what a terminal shows.
 *
 *   tmux capture-pane -e -p | node terminal.mjs FILE.png
 *
 * Knows the attributes that chat(1) uses: bold, dim and reversed.
 */
import { text } from "node:stream/consumers";
import { packages } from "./servers.mjs";

const BACK = "#20242c", FRONT = "#e5e9f0", DIM = "#7b8394";

function attributes(state, codes) {
  for (const code of codes.split(";").map(Number))
    if (code === 0) Object.assign(state, { bold: false, dim: false, reversed: false });
    else if (code === 1) state.bold = true;
    else if (code === 2) state.dim = true;
    else if (code === 7) state.reversed = true;
    else if (code !== 39 && code !== 49) // the terminal's own colours
      throw new Error(`an attribute that no picture has: ${code}`);
}

function style({ bold, dim, reversed }) {
  const front = dim ? DIM : FRONT;
  const [f, b] = reversed ? [BACK, front] : [front, BACK];
  return `color:${f};background:${b};font-weight:${bold ? "bold" : "normal"}`;
}

function html(ansi) {
  const state = {};
  const escape = (s) => s.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  return ansi.split(/(\x1b\[[\d;]*m)/).map((part) => {
    const codes = part.match(/^\x1b\[([\d;]*)m$/);
    if (!codes) return part && `<span style="${style(state)}">${escape(part)}</span>`;
    attributes(state, codes[1] || "0");
    return "";
  }).join("");
}

const ansi = await text(process.stdin);
const browser = await packages("playwright-core").chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  await page.setContent(`<body style="margin:0"><pre style="display:inline-block;margin:0;padding:14px;background:${BACK};font:15px/1.25 'DejaVu Sans Mono',monospace">${html(ansi.trimEnd())}</pre>`);
  await page.locator("pre").screenshot({ path: process.argv[2] });
} finally {
  await browser.close();
}

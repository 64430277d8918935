"""The HTML page's own style and script; nothing of a host is in them."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1c2024; --dim: #5b6570; --line: #d8dde3; --code: #eef1f4;
  --error: #b3261e; --warning: #8a5a00; --info: #1f5fa8; --pass: #1a7340; --skip: #6a737d; --unknown: #0b6a78;
  --link: #1f5fa8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1d2125; --text: #e3e6e9; --dim: #9aa4ae; --line: #333a41; --code: #272d33;
    --error: #ff8a80; --warning: #f2b84b; --info: #82b4f5; --pass: #6fcf97; --skip: #9aa4ae; --unknown: #6fd0de;
    --link: #82b4f5;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
a { color: var(--link); }
code, pre, dd { font: 0.875em/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
h1 { margin: 0; font-size: 1.75rem; }
h2 { margin: 0 0 0.5rem; font-size: 1.15rem; }
h3 { margin: 1rem 0 0.25rem; font-size: 1rem; }
h3 .dim { font-weight: normal; }
pre code { font-size: inherit; }
p { margin: 0.35rem 0; }
.dim, footer { color: var(--dim); font-size: 0.9rem; }
header { padding-left: 1rem; border-left: 0.4rem solid; margin-bottom: 1.5rem; }
header p { color: var(--text); }
header.error, .badge.error { color: var(--error); }
header.warning, .badge.warning { color: var(--warning); }
header.pass, .badge.pass { color: var(--pass); }
.badge.info { color: var(--info); }
.badge.skip { color: var(--skip); }
.badge.unknown { color: var(--unknown); }
.badge { display: inline-block; min-width: 1.25em; text-align: center; font-weight: 700; }
.card {
  background: var(--card); border: 1px solid var(--line); border-left: 0.3rem solid var(--line);
  border-radius: 0.4rem; padding: 1rem 1.25rem; margin-bottom: 1rem;
}
.card.error { border-left-color: var(--error); }
.card.warning { border-left-color: var(--warning); }
.card.info { border-left-color: var(--info); }
.evidence { display: grid; grid-template-columns: fit-content(65%) minmax(0, 1fr); gap: 0.15rem 1rem; margin: 0.75rem 0; }
.evidence dt { color: var(--dim); font-size: 0.9rem; }
.evidence dd { margin: 0; white-space: pre-wrap; }
.fix { list-style: none; padding: 0; margin: 0; }
.fix .command { display: flex; gap: 0.5rem; align-items: flex-start; margin: 0.35rem 0; }
.fix .person { margin: 0.35rem 0; padding-left: 0.75rem; border-left: 2px solid var(--line); }
pre {
  flex: 1; min-width: 0; margin: 0; padding: 0.5rem 0.75rem; background: var(--code); border-radius: 0.3rem;
  overflow-x: auto;
}
button {
  font: inherit; font-size: 0.9rem; padding: 0.3rem 0.75rem; color: var(--text); background: var(--card);
  border: 1px solid var(--line); border-radius: 0.3rem; cursor: pointer;
}
button:hover { border-color: var(--dim); }
button[aria-pressed="true"] { background: var(--text); color: var(--page); border-color: var(--text); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.wide { overflow-x: auto; margin: 0.5rem 0; }
.matrix { border-collapse: collapse; width: 100%; background: var(--card); font-size: 0.9rem; }
.matrix th, .matrix td { border: 1px solid var(--line); padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; white-space: nowrap; }
.matrix th { font-weight: 600; }
.matrix tbody td { position: relative; min-width: 6rem; padding-bottom: 0.6rem; }
.matrix td.pass { color: var(--pass); }
.matrix td.error { color: var(--error); background: color-mix(in srgb, var(--error) 14%, var(--card)); }
.matrix td.unknown { color: var(--unknown); }
.matrix td.skip { color: var(--skip); }
.matrix svg { position: absolute; left: 0; bottom: 0; width: 100%; height: 0.25rem; fill: var(--pass); }
section { margin-bottom: 1.5rem; }
.filters { display: flex; flex-wrap: wrap; gap: 0.4rem; margin-bottom: 0.75rem; }
details { background: var(--card); border: 1px solid var(--line); margin-top: -1px; }
details[hidden] { display: none; }
details > div { padding: 0 1rem 0.75rem 2.6rem; }
details:target { outline: 2px solid var(--link); }
summary { display: grid; grid-template-columns: 1.5em minmax(0, 15rem) minmax(0, 1fr); gap: 0.5rem;
  padding: 0.35rem 0.75rem; cursor: pointer; }
summary code { line-height: 1.7; }
footer { margin-top: 1.5rem; }
#said { position: fixed; bottom: 1rem; right: 1rem; margin: 0; padding: 0.4rem 0.9rem; border-radius: 0.3rem;
  background: var(--text); color: var(--page); }
#said:empty { display: none; }
@media (max-width: 40rem) {
  summary { grid-template-columns: 1.5em minmax(0, 1fr); }
  summary span:last-child { grid-column: 2; }
  .evidence { grid-template-columns: minmax(0, 1fr); }
  .evidence dd { margin-bottom: 0.4rem; }
}
@media print { .filters, button, #said { display: none; } }
"""

# Without a secure context there is no navigator.clipboard; then the old way.
SCRIPT = """
"use strict";
const said = document.getElementById("said");
function say(words) {
  said.textContent = words;
  setTimeout(() => { said.textContent = ""; }, 2000);
}
function select(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}
async function copy(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
  } catch {
    select(node);
    if (!document.execCommand("copy")) { say("Selected: press Ctrl+C"); return; }
  }
  say("Copied");
}
function show(status) {
  for (const button of document.querySelectorAll("[data-show]")) {
    button.setAttribute("aria-pressed", String(button.dataset.show === status));
  }
  for (const row of document.querySelectorAll("details[data-status]")) {
    row.hidden = status !== "" && row.dataset.status !== status;
  }
}
function reveal() {
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (row instanceof HTMLDetailsElement) {
    show("");
    row.open = true;
    row.scrollIntoView();
  }
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) { return; }
  if (button.dataset.copy !== undefined) { copy(button.previousElementSibling.firstElementChild); }
  if (button.dataset.show !== undefined) { show(button.dataset.show); }
});
addEventListener("hashchange", reveal);
reveal();
"""

// Dialogs, the theme, and what is said to the reader.

import { byId, h, setText } from "./dom.js";

const THEME = "minireason.theme";
const THEMES = ["automatic", "light", "dark"];
const READ_ALOUD = 2000;

for (const button of document.querySelectorAll("[data-cancel]")) {
  button.addEventListener("click", () => button.closest("dialog").close(""));
}

/** Show a dialog and wait; gives the value of the button that closed it, "" for Escape. */
export function ask(id) {
  const dialog = byId(id);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}

/** Ask for a key of the server; gives "" where none was given. */
export async function askForKey() {
  const input = byId("key-input");
  input.value = "";
  const answer = (await ask("key")) ? input.value.trim() : "";
  input.value = "";
  return answer;
}

/** Ask for a title; gives "" where it stays. */
export async function askForTitle(title) {
  const input = byId("name-input");
  input.value = title;
  const asked = ask("name");
  input.select();
  return (await asked) ? input.value.trim() : "";
}

/** A sentence over the question, with a button at its end; null takes it away. */
export function notice(text, button = null) {
  const node = byId("notice");
  node.hidden = !text;
  node.replaceChildren();
  if (!text) return;
  const close = h("button", { type: "button", className: "quiet small" }, "×");
  close.setAttribute("aria-label", "Close");
  close.addEventListener("click", () => notice(null));
  node.append(h("span", {}, text));
  if (button) node.append(noticeButton(button));
  node.append(close);
}

function noticeButton({ label, act }) {
  const button = h("button", { type: "button", className: "second small" }, label);
  button.addEventListener("click", () => {
    notice(null);
    act();
  });
  return button;
}

/** What a screen reader says, once, when it has said what it is at. */
export function announce(text) {
  setText(byId("status"), text.slice(0, READ_ALOUD));
}

/** The button of the theme goes round automatic, light and dark. */
export function bindTheme() {
  const button = byId("theme");
  const root = document.documentElement;
  const current = () => root.dataset.theme ?? THEMES[0];
  const show = () => setText(button, `Theme: ${current()}`);
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    if (next === THEMES[0]) delete root.dataset.theme;
    else root.dataset.theme = next;
    keepTheme(next);
    show();
  });
  show();
}

function keepTheme(theme) {
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // It holds until the page is closed.
  }
}

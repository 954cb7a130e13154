// The page: connects what happens (chat.js) with what is seen.

import { Api } from "./api.js";
import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { titleOf } from "./conversation.js";
import { announce, askForKey, askForTitle, bindTheme, notice } from "./dialogs.js";
import { byId, h, setText } from "./dom.js";
import { exportJson, exportMarkdown } from "./export.js";
import { loadSettings, saveSettings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import { BrowserStore, openStore } from "./store.js";
import { ConversationView } from "./view.js";

const OPENED = "minireason.opened";
const EXAMPLES = [
  "How many r's are in strawberry?",
  "What is 347 + 586?",
  "Is 2027 a prime number? Show how you know.",
];
const HAS_KEYS = matchMedia("(hover: hover)"); // on a phone the focus opens a keyboard
const opened = sessionStorage.getItem(OPENED); // before anything else is shown
const SAID = {
  thinking: "The model thinks.",
  voting: "The vote has begun.",
  answering: "It answers.",
};

const api = new Api();
const chat = new Chat(api, loadSettings());
const composer = new Composer(chat);
const sidebar = new Sidebar((id) => chat.open(id));
const view = new ConversationView(
  { turns: byId("turns"), scroller: byId("scroller"), latest: byId("latest") },
  {
    retry: () => chat.retry(),
    show: (turn, offset) => chat.show(turn, offset),
    edit: (index) => edit(index),
    startsFolded: () => chat.settings.foldThinking,
    chose(reply, open) {
      chat.chose(reply, open);
      saveSettings(chat.settings);
    },
  },
);

function edit(index) {
  if (!chat.reply) view.edit(index, (question) => chat.edit(index, question));
}

function newConversation() {
  sidebar.toggle(false);
  chat.fresh();
  composer.focus();
}

async function showList() {
  const entries = (await chat.store?.list().catch(() => [])) ?? [];
  sidebar.show(entries, chat.current.id, chat.running);
}

function showConversation({ detail = null } = {}) {
  const { current } = chat;
  setText(byId("title"), titleOf(current));
  document.title = current.turns.length ? `${titleOf(current)} · minireason` : "minireason";
  byId("welcome").hidden = current.turns.length > 0;
  byId("open-menu").disabled = !current.turns.length;
  sessionStorage.setItem(OPENED, current.turns.length ? current.id : "");
  view.show(current, detail?.stays);
  if (document.activeElement === document.body && HAS_KEYS.matches) composer.focus();
  showList();
}

let said = null;

function sayState(reply) {
  if (reply.state === said) return;
  said = reply.state;
  if (SAID[said]) announce(SAID[said]);
}

chat.addEventListener("shown", showConversation);
chat.addEventListener("list", showList);
chat.addEventListener("notice", ({ detail }) => notice(detail.text));
chat.addEventListener("key", () => connect("Now retry your question."));
chat.addEventListener("reply", ({ detail: { reply } }) => {
  if (reply === chat.reply) sayState(reply);
  view.touch(reply);
  composer.update(chat.reply);
});
chat.addEventListener("ran", ({ detail: { reply } }) => {
  composer.update(chat.reply);
  if (reply?.state === "done") announce(`The answer: ${reply.answer}`);
  else if (reply?.state === "stopped") announce("The reply was stopped.");
});

byId("new").addEventListener("click", newConversation);
byId("show-keys").addEventListener("click", () => byId("keys").showModal());
byId("export-markdown").addEventListener("click", () => fromMenu(exportMarkdown));
byId("export-json").addEventListener("click", () => fromMenu(exportJson));
byId("rename").addEventListener("click", async () => {
  byId("menu").hidePopover();
  const title = await askForTitle(titleOf(chat.current));
  if (!title) return;
  await chat.rename(title);
  setText(byId("title"), title);
});
byId("delete").addEventListener("click", async () => {
  byId("menu").hidePopover();
  const undo = await chat.remove();
  notice("The conversation is deleted.", { label: "Undo", act: undo });
  composer.focus();
});

function fromMenu(act) {
  byId("menu").hidePopover();
  act(chat.current);
}

composer.editLast = edit;

document.addEventListener("keydown", (event) => {
  const writes = event.target.closest?.("input, textarea, select, dialog");
  if (event.key === "Escape" && !event.defaultPrevented) escape();
  else if (event.altKey && event.code === "KeyN") newConversation();
  else if (event.key === "/" && !writes) composer.focus();
  else return;
  if (event.key !== "Escape") event.preventDefault();
});

function escape() {
  if (document.querySelector("dialog[open], [popover]:popover-open")) return; // it closes itself
  if (!sidebar.toggle(false)) chat.stop();
}

function showExamples() {
  const items = EXAMPLES.map((text) => {
    const button = h("button", { type: "button" }, text);
    button.addEventListener("click", () => composer.write(text));
    return h("li", {}, button);
  });
  byId("examples").replaceChildren(...items);
}

let storeIsKnown = false;

/** Ask the server what it has; where it asks for a key, ask the reader for one. */
async function connect(afterwards = null) {
  try {
    composer.offer(await api.models());
    if (!storeIsKnown) chat.useStore(await openStore(api));
    storeIsKnown = true;
    notice(afterwards);
    return;
  } catch (error) {
    notice(error.message, { label: "Try again", act: start });
    if (error.status !== 401) return;
  }
  const key = await askForKey();
  if (!key) return;
  api.useKey(key);
  await connect(afterwards);
}

async function start() {
  await connect();
  if (!chat.store) chat.useStore(new BrowserStore()); // what is kept can be read without a server
  if (opened && !chat.current.turns.length) await chat.open(opened);
  byId("rename").hidden = !chat.store.renames;
  showConversation();
  document.documentElement.dataset.ready = "";
}

bindTheme();
showExamples();
showConversation();
composer.focus();
start();

// Where conversations are kept: in this browser, or in the server's session files.
//
// Both have list, load, save and remove. `save` with `last` is for a page that goes away.

import { restored, titleOf } from "./conversation.js";
import { newReply } from "./reply.js";

const PREFIX = "minireason.conversation.";
const FULL =
  "This browser's storage is full, so this conversation is not kept; delete or export some.";
const NO_STORAGE = "This browser keeps nothing for this page, so the conversation ends with it.";

const newestFirst = (one, other) => other.updated - one.updated;
const entry = ({ id, title, updated }) => ({ id, title, updated });

/** Conversations in localStorage, each under a key of its own. */
export class BrowserStore {
  renames = true;

  async list() {
    const keys = storedKeys().filter((key) => key.startsWith(PREFIX));
    const read = keys.map((key) => this.#read(key)).filter(Boolean);
    return read.map(entry).sort(newestFirst);
  }

  async load(id) {
    return this.#read(PREFIX + id);
  }

  async save(conversation) {
    try {
      localStorage.setItem(PREFIX + conversation.id, JSON.stringify(conversation));
    } catch (error) {
      throw new Error(error.name === "QuotaExceededError" ? FULL : NO_STORAGE);
    }
  }

  async remove(id) {
    localStorage.removeItem(PREFIX + id);
  }

  /** Call `changed(id)` when another tab writes a conversation. */
  watch(changed) {
    addEventListener("storage", ({ key }) => {
      if (key?.startsWith(PREFIX)) changed(key.slice(PREFIX.length));
    });
  }

  #read(key) {
    try {
      return restored(JSON.parse(localStorage.getItem(key)));
    } catch {
      return null; // not ours, or broken: the others are still shown
    }
  }
}

function storedKeys() {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}

/** Conversations in the session files of the server (`minireason serve --sessions`). */
export class SessionStore {
  renames = false; // a session file is called after its first question

  constructor(api) {
    this.api = api;
  }

  async list() {
    const listed = (await this.api.sessions()) ?? [];
    const entries = listed.map((item) => (typeof item === "string" ? { name: item } : item));
    return entries
      .map(({ name, title, updated }) => ({ id: name, title: title || name, updated: ms(updated) }))
      .sort(newestFirst);
  }

  async load(id) {
    const { title = id, updated, turns } = await this.api.session(id);
    const known = turns.map(({ question, thinking = "", answer = "", model = "" }) => ({
      question,
      replies: [{ ...newReply(model, 0), state: "done", thinking, answer }],
      shown: 0,
    }));
    return { id, title, updated: ms(updated), turns: known };
  }

  async save(conversation, last = false) {
    const turns = conversation.turns.map((turn) => {
      const { thinking = "", answer = "" } = turn.replies[turn.shown] ?? {};
      return { question: turn.question, thinking, answer };
    });
    const model = conversation.turns.at(-1)?.replies.at(-1)?.model;
    const body = { title: titleOf(conversation), model, turns };
    await this.api.putSession(conversation.id, body, last);
  }

  async remove(id) {
    await this.api.deleteSession(id);
  }

  watch() {} // a server does not say when a file changes
}

function ms(time) {
  if (typeof time === "number") return time < 1e12 ? time * 1000 : time;
  return Date.parse(time ?? "") || 0;
}

/** The session files where the server keeps some, else this browser's storage. */
export async function openStore(api) {
  return (await api.sessions()) === null ? new BrowserStore() : new SessionStore(api);
}

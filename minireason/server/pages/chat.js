// What happens: questions are sent, replies run, conversations are kept. Knows nothing of the page.
//
// Events: "shown" (another conversation, or other turns), "reply" (one got more), "ran" (one began
// or ended), "list" (what is kept changed), "notice" (a sentence), "key" (the server asks for one).

import { addTurn, branched, messagesOf, newConversation, shownReply } from "./conversation.js";
import { end, isRunning, newReply, take } from "./reply.js";
import { requestFields } from "./settings.js";

const SAVE_MS = 1000;

export class Chat extends EventTarget {
  constructor(api, settings) {
    super();
    Object.assign(this, { api, settings });
    this.running = new Map(); // conversation id -> {abort, reply, conversation}
    this.current = newConversation(Date.now());
    addEventListener("pagehide", () => this.#leave(true));
    addEventListener("pageshow", () => this.#leave(false));
    document.addEventListener("visibilitychange", () => this.#saveRunning());
  }

  /** Keep conversations in this store from now on. */
  useStore(store) {
    this.store = store;
    store.watch((id) => this.#changedElsewhere(id));
    this.#save(this.current).then(() => this.#emit("list")); // what was asked before is kept too
  }

  /** The reply of the shown conversation that runs, if there is one. */
  get reply() {
    return this.running.get(this.current.id)?.reply;
  }

  fresh() {
    this.#show(newConversation(Date.now()));
  }

  async open(id) {
    const conversation = this.running.get(id)?.conversation ?? (await this.#try("load", id));
    if (conversation) this.#show(conversation);
  }

  /** Ask a question; gives false while a reply runs. */
  send(question) {
    if (this.reply) return false;
    this.#run(this.current, addTurn(this.current, question));
    return true;
  }

  /** Another reply to the last question, beside the one there is. */
  retry() {
    const turn = this.current.turns.at(-1);
    if (turn && !this.reply) this.#run(this.current, turn);
  }

  /** Ask another question in a turn's place; turns after it stay in the conversation as it was. */
  edit(index, question) {
    if (this.reply) return;
    if (index < this.current.turns.length - 1) {
      this.current = branched(this.current, index, Date.now());
    } else {
      this.current.turns.pop();
      if (index === 0 && !this.current.named) this.current.title = "";
    }
    this.send(question);
  }

  show(turn, offset) {
    turn.shown = Math.min(turn.replies.length - 1, Math.max(0, turn.shown + offset));
    this.#emit("shown", { stays: true });
    this.#save(this.current);
  }

  /** Remember that the reader folded or unfolded a thought. */
  chose(reply, open) {
    reply.open = open;
    if (isRunning(reply)) this.settings.foldThinking = !open;
    else this.#save(this.current);
  }

  stop() {
    this.running.get(this.current.id)?.abort.abort();
  }

  async answerNow() {
    if (!this.reply?.id) return;
    try {
      const ended = await this.api.answerNow(this.reply.id);
      if (!ended && this.reply?.state === "thinking") {
        this.#emit("notice", { text: "The server could not end this thought." });
      }
    } catch (error) {
      this.#emit("notice", { text: error.message });
    }
  }

  async rename(title) {
    Object.assign(this.current, { title, named: true });
    await this.#save(this.current);
    this.#emit("list");
  }

  /** Delete the shown conversation; gives what brings it back. */
  async remove() {
    const removed = this.current;
    removed.gone = true; // a reply that is stopped now is not saved any more
    this.stop();
    await this.#try("remove", removed.id);
    this.fresh();
    this.#emit("list");
    return async () => {
      delete removed.gone;
      await this.#save(removed);
      this.#show(removed);
      this.#emit("list");
    };
  }

  async #run(conversation, turn) {
    const reply = newReply(this.settings.model, Date.now());
    turn.replies.push(reply);
    turn.shown = turn.replies.length - 1;
    const abort = new AbortController();
    this.running.set(conversation.id, { abort, reply, conversation });
    conversation.updated = Date.now();
    this.#emit("shown");
    this.#emit("ran", { reply });
    await this.#save(conversation);
    this.#emit("list");
    try {
      await this.#read(conversation, reply, abort.signal);
      end(reply, "done");
    } catch (error) {
      if (abort.signal.aborted) end(reply, "stopped");
      else if (this.leaving) end(reply, "interrupted");
      else end(reply, "failed", error.message);
      if (error.status === 401) this.#emit("key");
    }
    this.running.delete(conversation.id);
    conversation.updated = Date.now();
    await this.#save(conversation);
    if (conversation === this.current) this.#emit("reply", { reply });
    this.#emit("ran", { reply });
    this.#emit("list");
  }

  async #read(conversation, reply, signal) {
    const body = {
      model: this.settings.model,
      messages: messagesOf(conversation),
      stream: true,
      stream_options: { include_usage: true },
      ...requestFields(this.settings),
    };
    let saved = performance.now();
    for await (const chunk of this.api.chat(body, signal)) {
      take(reply, chunk, Date.now());
      this.#emit("reply", { reply });
      if (performance.now() - saved < SAVE_MS) continue;
      this.#save(conversation);
      saved = performance.now();
    }
  }

  #show(conversation) {
    this.current = conversation;
    this.#emit("shown");
    this.#emit("ran", {});
  }

  #leave(leaving) {
    this.leaving = leaving; // the browser ends the requests of a page that goes away
    this.#saveRunning();
  }

  #saveRunning() {
    for (const { conversation } of this.running.values()) this.#save(conversation, true);
  }

  async #save(conversation, last = false) {
    if (conversation.gone || !conversation.turns.length) return;
    await this.#try("save", conversation, last);
  }

  async #try(act, ...args) {
    try {
      return await this.store?.[act](...args);
    } catch (error) {
      this.#emit("notice", { text: error.message });
      return null;
    }
  }

  async #changedElsewhere(id) {
    this.#emit("list");
    if (id !== this.current.id || this.reply) return;
    const conversation = await this.#try("load", id);
    if (conversation) this.#show(conversation);
  }

  #emit(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

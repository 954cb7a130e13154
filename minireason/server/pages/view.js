// The conversation on the page: a question and a reply for each turn, drawn as they change.

import { isRunning } from "./reply.js";
import { shownReply } from "./conversation.js";
import { copyButton, h } from "./dom.js";
import { ReplyView } from "./reply-view.js";

const NEAR_END_PX = 80;
const CLOCK_MS = 500;
const REST = 3; // drawing takes at most about a quarter of the time

export class ConversationView {
  /** `acts` is what the buttons do: retry, show, edit, chose, startsFolded. */
  constructor({ turns, scroller, latest }, acts) {
    Object.assign(this, { turns, scroller, latest, acts });
    this.views = new Map();
    this.touched = new Set(); // replies that got more since they were drawn
    this.following = true;
    this.free = 0; // when drawing may go on
    scroller.addEventListener("scroll", () => this.#noteScroll(), { passive: true });
    latest.addEventListener("click", () => this.follow());
    setInterval(() => this.#tick(), CLOCK_MS);
  }

  /** Draw a conversation, from its first turn on, and go to its end unless it `stays`. */
  show(conversation, stays = false) {
    const focused = document.activeElement;
    const focusedTurn = [...this.turns.children].findIndex((turn) => turn.contains(focused));
    this.conversation = conversation;
    this.views.clear();
    this.turns.replaceChildren();
    for (const index of conversation.turns.keys()) this.#showTurn(index);
    this.#focusAgain(focusedTurn, focused);
    if (!stays) this.follow();
  }

  /** A reply got more: it is drawn with the next frame that there is time for. */
  touch(reply) {
    this.touched.add(reply);
    if (this.pending) return;
    const wait = Math.max(0, this.free - performance.now());
    this.pending = setTimeout(() => requestAnimationFrame(() => this.#draw()), wait);
  }

  /** Go to the end, and stay there. */
  follow() {
    this.following = true;
    this.latest.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Turn a question into a form; `done(text)` is called with the new one. */
  edit(index, done) {
    const node = this.turns.children[index]?.querySelector(".question");
    if (node) editQuestion(node, this.conversation.turns[index].question, done);
  }

  /** The button that was pressed is another one now. */
  #focusAgain(turnIndex, before) {
    const buttons = this.turns.children[turnIndex]?.querySelectorAll("button") ?? [];
    const usable = [...buttons].filter((each) => !each.disabled && each.checkVisibility());
    const place = usable.find((each) => each.textContent === before?.textContent);
    (place ?? usable.find((each) => each.closest(".pager")))?.focus();
  }

  #draw() {
    this.pending = null;
    const before = performance.now();
    for (const reply of this.touched) this.views.get(reply)?.update(); // not what is not shown
    this.touched.clear();
    if (this.following) this.follow();
    this.free = performance.now() + REST * (performance.now() - before);
  }

  #tick() {
    for (const reply of this.views.keys()) if (isRunning(reply)) this.touch(reply);
  }

  #noteScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.following = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    this.latest.hidden = this.following;
  }

  #showTurn(index) {
    const { turns } = this.conversation;
    const turn = turns[index];
    const node = h("section", { className: "turn", "aria-label": `Turn ${index + 1}` });
    node.append(this.#question(turn, index));
    const reply = shownReply(turn);
    if (reply) {
      const view = new ReplyView(reply, this.#actsOf(turn));
      const last = index === turns.length - 1;
      view.update({ number: turn.shown + 1, of: turn.replies.length, last });
      this.views.set(reply, view);
      node.append(view.node);
    }
    this.turns.append(node);
  }

  #actsOf(turn) {
    const { acts } = this;
    return {
      retry: () => acts.retry(),
      show: (offset) => acts.show(turn, offset),
      chose: (open) => acts.chose(shownReply(turn), open),
      startsFolded: () => acts.startsFolded(),
    };
  }

  #question(turn, index) {
    const edit = h("button", { type: "button", className: "quiet small" }, "Edit");
    edit.addEventListener("click", () => this.acts.edit(index));
    const text = h("p", { className: "question-text" }, turn.question);
    const actions = h("div", { className: "actions" }, edit, copyButton(() => turn.question));
    const who = h("h2", { className: "hidden" }, "You");
    return h("div", { className: "question" }, who, text, actions);
  }
}

function editQuestion(node, question, done) {
  if (node.querySelector("form")) return;
  const area = h("textarea", { value: question, rows: 3, "aria-label": "Edit the question" });
  const cancel = h("button", { type: "button", className: "quiet" }, "Cancel");
  const send = h("button", { type: "submit", className: "send" }, "Send");
  const form = h("form", { className: "edit" }, area);
  form.append(h("div", { className: "buttons" }, cancel, send));
  const close = () => {
    form.remove();
    node.classList.remove("edited");
    node.querySelector("button").focus();
  };
  cancel.addEventListener("click", close);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = area.value.trim();
    close();
    if (text) done(text);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) form.requestSubmit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  node.classList.add("edited");
  node.append(form);
  area.focus();
}

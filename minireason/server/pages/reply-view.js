// A reply on the page: the vote, the thought that folds, the answer, and what can be done with it.

import { copyButton, count, duration, h, setText } from "./dom.js";
import { Prose } from "./markdown.js";
import { isRunning, thinkingSeconds } from "./reply.js";
import { VoteView } from "./vote-view.js";

const ENDS = {
  budget: "cut short at its budget",
  loop: "cut short in a loop",
  user: "ended by you",
  unclosed: "never ended",
};
const NOTES = {
  stopped: "You stopped this reply.",
  interrupted: "The page was closed while this was written; this much was kept.",
};
const CLAMPED = "The budget was more than fits; the thought could have";
const CUT_OFF = "The answer was cut off by the limit of tokens.";

export class ReplyView {
  /** `acts` has retry(), chose(open) and show(offset), and startsFolded() for a new thought. */
  constructor(reply, acts) {
    this.reply = reply;
    this.acts = acts;
    this.vote = null;
    this.summary = h("summary");
    this.thoughtNode = h("div", { className: "prose thought" });
    this.fold = h("details", { className: "fold thinking", hidden: true });
    this.fold.append(this.summary, this.thoughtNode);
    this.summary.addEventListener("click", () => acts.chose(!this.fold.open));
    this.fold.addEventListener("toggle", () => this.#updateThought());
    this.answerNode = h("div", { className: "prose answer" });
    this.waiting = h("p", { className: "waiting" }, "Reading the question");
    this.note = h("p", { className: "note", hidden: true });
    this.actions = this.#makeActions();
    this.node = h("article", { className: "reply", "aria-label": "Reply" });
    this.node.append(this.fold, this.waiting, this.answerNode, this.note, this.actions);
    this.thought = new Prose(this.thoughtNode);
    this.answer = new Prose(this.answerNode);
  }

  #makeActions() {
    const { acts } = this;
    this.copy = copyButton(() => this.reply.answer);
    this.retry = quiet("Retry", () => acts.retry());
    this.before = quiet("‹", () => acts.show(-1), "The reply before");
    this.after = quiet("›", () => acts.show(1), "The next reply");
    this.place = h("span", { className: "place" });
    this.figures = h("span", { className: "figures" });
    const pager = h("span", { className: "pager" }, this.before, this.place, this.after);
    this.pager = pager;
    return h("div", { className: "actions" }, this.copy, this.retry, pager, this.figures);
  }

  /** Draw what is known of the reply; `place` is {number, of, last} among those of its turn. */
  update(place = this.shownPlace) {
    const { reply } = this;
    this.shownPlace = place;
    const running = isRunning(reply);
    this.node.dataset.state = reply.state;
    this.node.setAttribute("aria-busy", String(running));
    this.waiting.hidden = reply.state !== "waiting";
    this.#updateVote(running);
    this.#updateFold();
    this.answer.update(reply.answer);
    this.#updateNote(running);
    this.#updateActions(running, place);
  }

  #updateVote(running) {
    if (!this.reply.vote) return;
    if (!this.vote) {
      this.vote = new VoteView(this.reply.vote);
      this.node.prepend(this.vote.node);
    }
    this.vote.update(running && !this.reply.answer);
  }

  #updateFold() {
    const { reply } = this;
    this.fold.hidden = !reply.thinking;
    if (!reply.thinking) return;
    const watched = reply.state === "thinking" && !this.acts.startsFolded();
    const open = reply.open ?? watched;
    if (this.fold.open !== open) this.fold.open = open;
    setText(this.summary, thoughtTitle(reply));
    this.#updateThought();
  }

  #updateThought() {
    if (this.fold.open) this.thought.update(this.reply.thinking);
  }

  #updateNote(running) {
    const { reply } = this;
    const text = running ? "" : (reply.error ?? NOTES[reply.state] ?? limits(reply));
    if (reply.state === "failed") this.note.setAttribute("role", "alert");
    this.note.hidden = !text;
    setText(this.note, text);
  }

  #updateActions(running, { number, of, last }) {
    const { reply } = this;
    this.actions.hidden = running;
    this.copy.hidden = !reply.answer;
    this.retry.hidden = !last;
    this.retry.classList.toggle("second", reply.state === "failed");
    this.pager.hidden = of < 2;
    this.before.disabled = number === 1;
    this.after.disabled = number === of;
    setText(this.place, `${number} of ${of}`);
    setText(this.figures, figures(reply));
  }
}

/** Which limits a whole reply came to. */
function limits({ clampedBudget, finish }) {
  const isCut = typeof clampedBudget === "number";
  const budget = isCut ? `${CLAMPED} ${count(clampedBudget, "token")}.` : "";
  return [budget, finish === "length" ? CUT_OFF : ""].filter(Boolean).join(" ");
}

function quiet(text, click, label = null) {
  const properties = { type: "button", className: "quiet small", onclick: click };
  return h("button", { ...properties, "aria-label": label, title: label }, text);
}

function thoughtTitle(reply) {
  if (reply.vote) return "The thought of the chain that won";
  const seconds = duration(thinkingSeconds(reply, Date.now()));
  const tokens = count(reply.thinkingTokens, "token");
  if (reply.state === "thinking") return `Thinking · ${seconds} · ${tokens}`;
  const how = ENDS[reply.thinkingEnd] ? ` · ${ENDS[reply.thinkingEnd]}` : "";
  return reply.started
    ? `Thought for ${seconds} · ${tokens}${how}`
    : "Thought"; // out of a session file, which has no counts
}

function figures(reply) {
  const tokens = reply.answerTokens ? count(reply.answerTokens, "token") : "";
  const seconds = reply.seconds ? duration(reply.seconds) : "";
  return [reply.model, tokens, seconds].filter(Boolean).join(" · ");
}

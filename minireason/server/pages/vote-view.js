// A vote as it happens: bars of the candidates, and the chains side by side.

import { count, h, setText } from "./dom.js";
import { Prose, showShort } from "./markdown.js";
import { reason, summary } from "./vote.js";

const TAIL = 280;
const STATES = {
  waiting: "waits",
  thinking: "thinks · ",
  answering: "answers · ",
  answered: "",
  cancelled: "not needed · ",
};

export class VoteView {
  constructor(vote) {
    this.vote = vote;
    this.chains = [];
    this.title = h("h3", { className: "vote-title" });
    this.why = h("p", { className: "vote-why", hidden: true });
    this.bars = h("ol", { className: "candidates", "aria-label": "Candidates" });
    this.grid = h("ol", { className: "chains", "aria-label": "Chains" });
    this.fold = h("details", { className: "fold" }, h("summary", {}, "Chains"), this.grid);
    this.fold.firstChild.addEventListener("click", () => (this.chosen = true));
    this.node = h("section", { className: "vote", "aria-label": "Vote" });
    this.node.append(this.title, this.bars, this.why, this.fold);
  }

  /** Draw what is known; the chains fold away once the vote is over. */
  update(running) {
    const { vote } = this;
    setText(this.title, summary(vote));
    this.why.hidden = !vote.because;
    if (vote.because) setText(this.why, `The vote ended because ${reason(vote.because)}.`);
    this.#updateBars();
    for (const [index, chain] of vote.chains.entries()) this.#chain(index).update(chain);
    setText(this.fold.firstChild, count(vote.chains.length, "chain"));
    if (!this.chosen) this.fold.open = running && !vote.because;
  }

  #updateBars() {
    const { candidates } = this.vote;
    const all = candidates.reduce((sum, { votes }) => sum + votes, 0);
    while (this.bars.children.length > candidates.length) this.bars.lastChild.remove();
    for (const [index, candidate] of candidates.entries()) {
      if (!this.bars.children[index]) this.bars.append(newBar());
      updateBar(this.bars.children[index], candidate, candidate.votes / all);
    }
  }

  #chain(index) {
    if (!this.chains[index]) {
      this.chains[index] = new ChainView(index);
      this.grid.append(this.chains[index].node);
    }
    return this.chains[index];
  }
}

function newBar() {
  const answer = h("span", { className: "candidate-answer" });
  const bar = h("span", { className: "bar", "aria-hidden": "true" }, h("span"));
  return h("li", {}, answer, bar, h("span", { className: "candidate-votes" }));
}

function updateBar(node, { answer, votes }, share) {
  const [name, bar, number] = node.children;
  if (name.dataset.answer !== String(answer)) {
    name.dataset.answer = String(answer);
    showShort(name, String(answer ?? "no answer"));
  }
  bar.firstChild.style.width = `${share * 100}%`;
  setText(number, `${count(votes, "vote")} · ${Math.round(share * 100)}%`);
}

/** One chain: its state and the end of what it wrote; unfolded, all of it. */
class ChainView {
  constructor(index) {
    this.name = h("span", { className: "chain-name" }, `Chain ${index + 1}`);
    this.state = h("span", { className: "chain-state" });
    this.result = h("p", { className: "chain-result" });
    this.tail = h("p", { className: "chain-tail", "aria-hidden": "true" });
    const head = h("span", { className: "chain-head" }, this.name, this.state);
    const summaryNode = h("summary", {}, head, this.tail);
    this.all = h("div", { className: "chain-all prose", tabIndex: 0 });
    this.all.setAttribute("role", "region");
    this.all.setAttribute("aria-label", `All that chain ${index + 1} wrote`);
    this.prose = new Prose(this.all);
    this.details = h("details", {}, summaryNode, this.all);
    this.node = h("li", { className: "chain" }, this.details, this.result);
    this.details.addEventListener("toggle", () => this.chain && this.update(this.chain));
  }

  update(chain) {
    this.chain = chain;
    this.node.dataset.state = chain.state;
    const tokens = chain.tokens ? count(chain.tokens, "token") : "";
    setText(this.state, STATES[chain.state] + tokens);
    const shown = chain.state === "answering" ? chain.answer : chain.thinking || chain.answer;
    setText(this.tail, shown.slice(-TAIL).trim());
    if (this.details.open) this.prose.update(`${chain.thinking}\n\n${chain.answer}`.trim());
    this.#showResult(chain);
  }

  #showResult({ state, result }) {
    const text = state === "answered" ? String(result ?? "no answer") : "";
    if (this.shownResult === text) return;
    this.shownResult = text;
    this.result.hidden = !text;
    showShort(this.result, text);
  }
}

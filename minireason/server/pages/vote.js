// What is known of a vote: its chains, and the candidates they voted for. Plain data.

/** A vote of which nothing is known yet. */
export function newVote() {
  return { chains: [], candidates: [], open: 0, because: null, agreement: null };
}

/** Enter what one event of the server says. */
export function takeEvent(vote, event) {
  const act = ACTS[event.type];
  if (act) act(vote, event); // what a later server tells besides is left out
}

const ACTS = {
  chain_started(vote, { index, seed }) {
    chain(vote, index).seed = seed;
  },
  chain_delta(vote, { index, kind, text, tokens }) {
    const one = chain(vote, index);
    one[kind === "answer" ? "answer" : "thinking"] += text;
    one.tokens = tokens ?? one.tokens + 1;
    one.state = kind === "answer" ? "answering" : "thinking";
  },
  chain_answered(vote, { index, answer, text, tokens, thinking_end: thinkingEnd }) {
    const one = chain(vote, index);
    Object.assign(one, { state: "answered", result: answer, thinkingEnd });
    if (text) one.answer = text;
    if (tokens) one.tokens = tokens;
  },
  chain_cancelled(vote, { index }) {
    chain(vote, index).state = "cancelled";
  },
  vote(vote, { candidates, open }) {
    Object.assign(vote, { candidates, open });
  },
  decided(vote, { because }) {
    vote.because = because;
  },
};

function chain(vote, index) {
  vote.chains[index] ??= newChain();
  for (let before = 0; before < index; before += 1) vote.chains[before] ??= newChain();
  return vote.chains[index];
}

function newChain() {
  return { state: "waiting", thinking: "", answer: "", result: null, tokens: 0, seed: null };
}

const REASONS = {
  all_done: "all chains have ended",
  lead: "no other answer could win any more",
  beta: "another outcome had become very unlikely",
  budget_tokens: "the tokens were spent",
  budget_s: "the time was spent",
  cancelled: "it was stopped",
};

/** Why a vote ended, in words. */
export const reason = (because) => REASONS[because] ?? because;

/** "4 of 5 chains agree", or how far the vote is. */
export function summary(vote) {
  const leader = vote.candidates[0];
  if (vote.because) {
    const votes = vote.candidates.reduce((sum, { votes: each }) => sum + each, 0);
    if (!leader) return "The vote found no answer";
    return `${leader.votes} of ${votes} ${votes === 1 ? "vote agrees" : "votes agree"}`;
  }
  const ended = vote.chains.filter(({ state }) => state === "answered").length;
  return `Voting: ${ended} of ${vote.chains.length} chains have answered`;
}

// What the reader set: kept in this browser, and turned into fields of a request.

const KEY = "minireason.settings";

/** "" is as the server has it. */
const UNSET = {
  model: "",
  effort: "",
  budget: "2048",
  samples: "1",
  stopRule: "",
  parallel: "",
  temperature: "",
  maxTokens: "",
  seed: "",
  foldThinking: false, // whether the last thought that was watched was folded by hand
};

export function loadSettings() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY)) ?? {};
    const isKnown = ([name, value]) => typeof value === typeof UNSET[name];
    const known = Object.entries(kept).filter(isKnown);
    return { ...UNSET, ...Object.fromEntries(known) };
  } catch {
    return { ...UNSET };
  }
}

export function saveSettings(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // They hold until the page is closed.
  }
}

/** The fields of a chat completion that say how to reply. */
export function requestFields(settings) {
  const fields = {
    temperature: number(settings.temperature),
    max_tokens: number(settings.maxTokens),
    seed: number(settings.seed),
    ...thinkingFields(settings),
    ...voteFields(settings),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function thinkingFields({ effort, budget }) {
  if (effort === "budget") return { thinking_budget: number(budget) };
  return { reasoning_effort: effort || undefined };
}

function voteFields({ samples, stopRule, parallel }) {
  if (Number(samples) < 2) return {};
  return {
    samples: Number(samples),
    stop_rule: stopRule || undefined,
    parallel: number(parallel),
  };
}

function number(text) {
  return text === "" ? undefined : Number(text);
}

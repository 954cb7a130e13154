// What is known of a reply: plain data, which a stream fills chunk by chunk and storage keeps.
//
// `state` is "waiting" (nothing came yet), "thinking", "answering" or "voting" while it runs; then
// "done", "stopped" (by the reader), "interrupted" (the page went away) or "failed" (see `error`).

import { newVote, takeEvent } from "./vote.js";

const RUNNING = new Set(["waiting", "thinking", "answering", "voting"]);

/** A reply of which nothing is known yet; `now` is in milliseconds. */
export function newReply(model, now) {
  return {
    model,
    state: "waiting",
    started: now,
    thinking: "",
    answer: "",
    thinkingTokens: 0,
    answerTokens: 0,
    thinkingSince: null,
    thinkingSeconds: 0,
    seconds: 0,
    thinkingEnd: null,
    clampedBudget: null, // the tokens of thinking that the context left room for
    finish: null,
    error: null,
    open: null, // whether the reader unfolded (true) or folded (false) the thought
    vote: null,
  };
}

export const isRunning = (reply) => RUNNING.has(reply.state);

/** Enter what a chunk of a chat completion says. */
export function take(reply, chunk, now) {
  reply.id ??= chunk.id;
  reply.seconds = (now - reply.started) / 1000;
  const extra = chunk.minireason ?? {};
  if (extra.event) takeVote(reply, extra.event);
  const choice = chunk.choices?.[0];
  if (choice) takeChoice(reply, choice, now);
  if (chunk.usage) takeUsage(reply, chunk.usage);
  if (extra.thinking_end) reply.thinkingEnd = extra.thinking_end;
  if (extra.thinking_budget !== undefined) reply.clampedBudget = extra.thinking_budget;
  if (reply.vote && extra.candidates) reply.vote.candidates = extra.candidates;
  if (reply.vote && extra.agreement !== undefined) reply.vote.agreement = extra.agreement;
  if (reply.vote && extra.stopped_because) reply.vote.because = extra.stopped_because;
}

function takeVote(reply, event) {
  reply.vote ??= newVote();
  takeEvent(reply.vote, event);
  if (reply.state === "waiting") reply.state = "voting";
}

function takeChoice(reply, choice, now) {
  const delta = choice.delta ?? {};
  const thinking = delta.reasoning_content ?? delta.reasoning ?? "";
  if (thinking) {
    reply.thinkingSince ??= now;
    reply.thinking += thinking;
    reply.thinkingTokens += 1; // about one a chunk, until `usage` says how many there were
    reply.thinkingSeconds = (now - reply.thinkingSince) / 1000;
    if (reply.state === "waiting") reply.state = "thinking";
  }
  if (delta.content) {
    reply.answer += delta.content;
    reply.answerTokens += 1;
    reply.state = "answering";
  }
  if (choice.finish_reason) reply.finish = choice.finish_reason;
}

function takeUsage(reply, usage) {
  const thinking = usage.completion_tokens_details?.reasoning_tokens ?? reply.thinkingTokens;
  reply.thinkingTokens = thinking;
  reply.answerTokens = Math.max(0, usage.completion_tokens - thinking);
}

/** End a reply as `state` says; `error` is a sentence for the reader. */
export function end(reply, state, error = null) {
  reply.state = state;
  reply.error = error;
}

/** Seconds of thinking so far: of a thought that still runs, until now. */
export function thinkingSeconds(reply, now) {
  const open = reply.state === "thinking" && reply.thinkingSince !== null;
  return open ? (now - reply.thinkingSince) / 1000 : reply.thinkingSeconds;
}

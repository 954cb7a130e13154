// A conversation: turns of a question and its replies. Plain data, kept as JSON.

import { end, isRunning } from "./reply.js";

const TITLE_LENGTH = 60;
export const UNTITLED = "New conversation";

/** A conversation without a turn. */
export function newConversation(now) {
  return { id: crypto.randomUUID?.() ?? randomId(), title: "", updated: now, turns: [] };
}

function randomId() {
  // Over plain HTTP from another machine there is no randomUUID.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const titleOf = (conversation) => conversation.title || UNTITLED;

/** Add a question; the first one names the conversation. */
export function addTurn(conversation, question) {
  const turn = { question, replies: [], shown: 0 };
  conversation.turns.push(turn);
  conversation.title ||= shortened(question);
  return turn;
}

function shortened(question) {
  const line = question.trim().split(/\s+/).join(" ");
  return line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1).trimEnd()}…` : line;
}

/** The reply of a turn that is shown, and that later turns follow. */
export const shownReply = (turn) => turn.replies[turn.shown];

/**
 * Messages that ask the last question: answers without their thoughts.
 *
 * A turn that came to no answer is left out, since questions and answers have to alternate.
 */
export function messagesOf(conversation) {
  const last = conversation.turns.at(-1);
  const messages = [];
  for (const turn of conversation.turns.slice(0, -1)) {
    const answer = shownReply(turn)?.answer;
    if (!answer) continue;
    messages.push({ role: "user", content: turn.question });
    messages.push({ role: "assistant", content: answer });
  }
  messages.push({ role: "user", content: last.question });
  return messages;
}

/** A copy that ends before a turn, to go on from there in another way. */
export function branched(conversation, turnIndex, now) {
  const copy = newConversation(now);
  copy.title = `${titleOf(conversation)} (edited)`;
  copy.turns = structuredClone(conversation.turns.slice(0, turnIndex));
  return copy;
}

/** What storage held, checked, with replies ended that ran when their page went away. */
export function restored(data) {
  if (typeof data?.id !== "string" || !Array.isArray(data.turns)) return null;
  for (const turn of data.turns) {
    for (const reply of turn.replies) if (isRunning(reply)) end(reply, "interrupted");
  }
  return data;
}

// A conversation as a file: Markdown to read, JSON to go on with.

import { shownReply, titleOf } from "./conversation.js";
import { download } from "./dom.js";

/** A name for a file out of a title, safe on every system. */
export function fileName(title, suffix) {
  const words = title.normalize("NFKD").match(/[\p{L}\p{N}]+/gu) ?? ["conversation"];
  return `${words.join("-").toLowerCase().slice(0, 60)}.${suffix}`;
}

/** The shown replies as Markdown, thoughts as quotes. */
export function asMarkdown(conversation) {
  const parts = [`# ${titleOf(conversation)}`];
  for (const turn of conversation.turns) {
    parts.push("## Question", turn.question);
    const reply = shownReply(turn);
    if (reply?.thinking) parts.push("### Thinking", quoted(reply.thinking));
    if (reply?.answer) parts.push("### Answer", reply.answer);
  }
  return `${parts.map((part) => part.trim()).join("\n\n")}\n`;
}

function quoted(text) {
  return text
    .trim()
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n");
}

export function exportMarkdown(conversation) {
  const name = fileName(titleOf(conversation), "md");
  download(name, "text/markdown", asMarkdown(conversation));
}

/** Everything that is known: all replies with thoughts, counts and votes. */
export function exportJson(conversation) {
  const name = fileName(titleOf(conversation), "json");
  download(name, "application/json", `${JSON.stringify(conversation, null, 2)}\n`);
}

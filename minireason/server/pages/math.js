// LaTeX inside Markdown: \( \), \[ \], $ $, $$ $$, and a bare \boxed{ }, set by KaTeX.
//
// KaTeX writes its layout into style attributes, which the page's policy forbids. They are renamed
// to `data-style` here, pass the sanitizer with the rest, and markdown.js applies them by script.

const KEPT = 500;
const INLINE = [
  ["$$", "$$", true],
  ["\\[", "\\]", true],
  ["\\(", "\\)", false],
  ["$", "$", false],
];
const BLOCK = { $$: "$$", "\\[": "\\]" };
const OPTIONS = {
  throwOnError: false,
  trust: false, // no \href, \includegraphics or \htmlStyle
  strict: "ignore",
  maxExpand: 300,
  maxSize: 20,
  errorColor: "currentColor",
};

const rendered = new Map();

/** The HTML of a formula; of one that KaTeX cannot read, its source. */
export function formula(tex, display, escapeHtml) {
  const key = `${display}${tex}`;
  if (!rendered.has(key)) {
    if (rendered.size >= KEPT) rendered.clear();
    rendered.set(key, typeset(tex, display) ?? `<code>${escapeHtml(tex)}</code>`);
  }
  return rendered.get(key);
}

function typeset(tex, displayMode) {
  try {
    const html = window.katex.renderToString(tex, { ...OPTIONS, displayMode });
    return html
      .replaceAll(/<annotation[^>]*>[^<]*<\/annotation>/g, "") // the source, a second time
      .replaceAll(' style="', ' data-style="'); // in texts KaTeX writes &quot;
  } catch {
    return null; // its parser gave up in a way of its own, as for very deep nesting
  }
}

/** Teach a markdown-it to read formulas. */
export function mathPlugin(md) {
  const { escapeHtml } = md.utils;
  md.inline.ruler.before("escape", "math", inlineMath);
  md.block.ruler.before("fence", "math_block", blockMath, {
    alt: ["paragraph", "reference", "blockquote", "list"],
  });
  md.renderer.rules.math = (tokens, index) => {
    const { content, info } = tokens[index];
    return formula(content, info === "display", escapeHtml);
  };
  md.renderer.rules.math_block = (tokens, index) =>
    `<p>${formula(tokens[index].content, true, escapeHtml)}</p>\n`;
}

function inlineMath(state, silent) {
  const start = state.pos;
  const first = state.src[start];
  if (first !== "\\" && first !== "$") return false;
  const span = delimited(state, start) ?? boxed(state.src, start);
  if (!span) return false;
  if (!silent) {
    const token = state.push("math", "math", 0);
    token.content = span.content;
    token.info = span.display ? "display" : "";
  }
  state.pos = span.end;
  return true;
}

function delimited(state, start) {
  const match = INLINE.find(([open]) => state.src.startsWith(open, start));
  if (!match) return null;
  const [open, close, display] = match;
  const from = start + open.length;
  const to = closing(state, close, from);
  const content = to < 0 ? "" : state.src.slice(from, to);
  if (!content.trim()) return null;
  if (close === "$" && !looksLikeMath(content, state.src[to + 1])) return null;
  return { content, display, end: to + close.length };
}

/** Where a delimiter closes, or -1; once it is not there, it is not looked for again. */
function closing(state, close, from) {
  state.mathWithout ??= new Set();
  if (state.mathWithout.has(close)) return -1;
  let at = state.src.indexOf(close, from);
  while (close === "$" && at > 0 && state.src[at - 1] === "\\") {
    at = state.src.indexOf(close, at + 1); // \$ is a dollar inside a formula
  }
  if (at < 0) state.mathWithout.add(close);
  return at;
}

/** Whether a pair of single dollars is a formula, and not two sums of money. */
function looksLikeMath(content, after) {
  return !/^\s|\s$|\n\s*\n/.test(content) && !/[0-9]/.test(after ?? "");
}

function boxed(src, start) {
  const open = "\\boxed{";
  if (!src.startsWith(open, start)) return null;
  let depth = 1;
  for (let at = start + open.length; at < src.length && src[at] !== "\n"; at += 1) {
    if (src[at] === "{") depth += 1;
    else if (src[at] === "}") depth -= 1;
    if (depth === 0) return { content: src.slice(start, at + 1), display: false, end: at + 1 };
  }
  return null;
}

/** A formula on lines of its own, which may hold what Markdown would take for lists or rules. */
function blockMath(state, startLine, endLine, silent) {
  const line = lineOf(state, startLine);
  const open = line.slice(0, 2);
  const close = BLOCK[open];
  if (!close || state.sCount[startLine] - state.blkIndent >= 4) return false;
  const rows = [];
  for (let next = startLine; next < endLine; next += 1) {
    const text = next === startLine ? line.slice(2) : lineOf(state, next);
    const at = text.indexOf(close);
    if (at < 0) {
      rows.push(text);
      continue;
    }
    rows.push(text.slice(0, at));
    const content = rows.join("\n");
    if (text.slice(at + 2).trim() || !content.trim()) return false;
    if (!silent) pushBlock(state, content, startLine, next + 1);
    return true;
  }
  return false;
}

function pushBlock(state, content, startLine, nextLine) {
  const token = state.push("math_block", "math", 0);
  token.block = true;
  token.content = content;
  token.map = [startLine, nextLine];
  state.line = nextLine;
}

function lineOf(state, line) {
  return state.src.slice(state.bMarks[line] + state.tShift[line], state.eMarks[line]);
}

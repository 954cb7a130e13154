// Markdown of a model to nodes of the page. Nothing in it is trusted: raw HTML stays text, and what
// markdown-it, KaTeX and highlight.js wrote goes through DOMPurify before it becomes nodes.

import { codeBlock } from "./code.js";
import { copyButton, h } from "./dom.js";
import { mathPlugin } from "./math.js";

const TOO_LONG = 300_000;
const SAFE_LINK = /^(?:https?|mailto):/i;

const TAGS = `a blockquote br code del em h3 h4 h5 h6 hr li ol p pre s span strong table tbody
  td th thead tr ul
  math menclose mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub msubsup
  msup mtable mtd mtext mtr munder munderover svg path line`;
const ATTRIBUTES = `class href start title data-style
  accent accentunder columnalign columnlines columnspacing depth display displaystyle fence height
  largeop linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize
  movablelimits notation rowlines rowspacing rspace scriptlevel separator stretchy voffset width
  d preserveAspectRatio stroke-width viewBox x1 x2 y1 y2`;
const SANITIZE = {
  ALLOWED_TAGS: TAGS.split(/\s+/),
  ALLOWED_ATTR: ATTRIBUTES.split(/\s+/),
  ALLOW_DATA_ATTR: false,
  ADD_URI_SAFE_ATTR: ["data-style"], // "height:1em" is no address, though it looks like one
  ALLOWED_URI_REGEXP: /^(?:(?:https?|mailto):|[^a-z]|[a-z+.\-]+(?:[^a-z+.\-:]|$))/i,
  RETURN_DOM_FRAGMENT: true,
};

const md = makeMarkdown();

function makeMarkdown() {
  const made = window.markdownit({ html: false, linkify: true });
  const { escapeHtml } = made.utils;
  const { rules } = made.renderer;
  made.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
  made.validateLink = (url) => SAFE_LINK.test(url.trim());
  made.use(mathPlugin);
  made.core.ruler.push("alignment", alignByClass);
  made.core.ruler.push("headings", lowerHeadings);
  rules.fence = (tokens, index) => {
    const { content, info } = tokens[index];
    return codeBlock(content, info.trim().split(/\s+/)[0], escapeHtml);
  };
  rules.code_block = (tokens, index) => codeBlock(tokens[index].content, "", escapeHtml);
  rules.image = imageAsLink;
  return made;
}

/** An image becomes a link to it: a page must not tell another host that it was read. */
function imageAsLink(tokens, index, options, env, self) {
  const token = tokens[index];
  const { escapeHtml } = md.utils;
  const text = self.renderInlineAsText(token.children, options, env) || "image";
  return `<a href="${escapeHtml(token.attrGet("src"))}">${escapeHtml(text)}</a>`;
}

/** The alignment of table cells as a class, since style attributes do not count here. */
function alignByClass(state) {
  for (const token of state.tokens) {
    const align = token.attrGet("style")?.match(/^text-align:(left|right|center)$/)?.[1];
    if (align) token.attrs = [["class", `to-${align}`]];
  }
}

/** The headings of an answer stand below those of the page. */
function lowerHeadings(state) {
  for (const token of state.tokens) {
    const level = token.tag.match(/^h([1-6])$/)?.[1];
    if (level) token.tag = `h${Math.min(6, Number(level) + 2)}`;
  }
}

/** Nodes of sanitized HTML, with what scripts add: styles of formulas, frames, copy buttons. */
function nodesOf(html) {
  const fragment = window.DOMPurify.sanitize(html, SANITIZE);
  for (const node of fragment.querySelectorAll("[data-style]")) {
    if (node.closest(".katex, .katex-error")) node.style.cssText = node.dataset.style;
    node.removeAttribute("data-style");
  }
  for (const link of fragment.querySelectorAll("a")) {
    if (!SAFE_LINK.test(link.getAttribute("href") ?? "")) link.replaceWith(...link.childNodes);
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const table of fragment.querySelectorAll("table")) {
    const frame = h("div", { className: "table-frame", tabIndex: 0, role: "region" });
    frame.setAttribute("aria-label", "Table");
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const pre of fragment.querySelectorAll("pre")) frameCode(pre);
  return [...fragment.childNodes];
}

function frameCode(pre) {
  const code = pre.firstElementChild;
  const language = code?.getAttribute("title") ?? "";
  code?.removeAttribute("title");
  pre.tabIndex = 0; // long lines are scrolled by keyboard, too
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
  const head = h("div", { className: "code-head" }, h("span", {}, language));
  const frame = h("div", { className: "code-frame" }, head);
  head.append(copyButton(() => pre.textContent, "Copy"));
  pre.replaceWith(frame);
  frame.append(pre);
}

/** The top-level blocks of a text: `key` is the same where the block is the same. */
function blocksOf(source) {
  const env = {};
  const tokens = md.parse(source, env);
  const lines = source.split("\n");
  const links = Object.keys(env.references ?? {}).length;
  const blocks = [];
  let first = 0;
  tokens.forEach((token, index) => {
    if (token.level > 0 || token.nesting > 0) return;
    const group = tokens.slice(first, index + 1);
    const [from, to] = group[0].map ?? [0, lines.length];
    const key = `${links} ${group[0].type} ${lines.slice(from, to).join("\n")}`;
    blocks.push({ key, html: () => md.renderer.render(group, md.options, env) });
    first = index + 1;
  });
  return blocks;
}

/** A text that grows: only blocks that changed are made anew, so a selection in others stays. */
export class Prose {
  constructor(node) {
    this.node = node;
    this.source = "";
    this.shown = []; // {key, nodes}
  }

  update(text) {
    const source = text.replaceAll(/\r\n?/g, "\n");
    if (source === this.source) return;
    this.source = source;
    if (source.length > TOO_LONG) this.#showPlain();
    else this.#showBlocks(blocksOf(source));
  }

  #showPlain() {
    this.shown = [];
    this.node.replaceChildren(h("div", { className: "plain" }, this.source));
  }

  #showBlocks(blocks) {
    if (!this.shown.length) this.node.replaceChildren();
    let same = 0;
    while (same < this.shown.length && this.shown[same].key === blocks[same]?.key) same += 1;
    for (const { nodes } of this.shown.splice(same)) for (const node of nodes) node.remove();
    for (const { key, html } of blocks.slice(same)) {
      const nodes = nodesOf(html());
      this.node.append(...nodes);
      this.shown.push({ key, nodes });
    }
  }
}

/** Show a short text, as a candidate of a vote: a formula where it looks like one. */
export function showShort(node, text) {
  const isFormula = /[\\^_{}]/.test(text) && !/\n|\$/.test(text);
  if (isFormula) node.replaceChildren(...nodesOf(md.renderInline(`$${text.trim()}$`)));
  else node.textContent = text;
}

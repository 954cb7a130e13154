// Small helpers for elements. Text goes in as text nodes: nothing here reads HTML.

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Make an element.
 *
 * A property that starts with "on" is a listener, one that the element has is set, any other is an
 * attribute; `null` and `undefined` are left out.
 */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set a text, only where it differs, so that nothing is laid out or read out anew. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** "4 tokens", "1 token", "1,204 tokens". */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** "0.8 s", "12 s", "2 min 5 s". */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Put a text into the clipboard; gives whether it worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // over plain HTTP from another machine there is no clipboard API
  }
}

function copyBySelection(text) {
  const area = h("textarea", { value: text, className: "hidden" });
  const before = document.activeElement;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus();
  return copied;
}

/** A button that copies what `text()` gives, and says so for a moment. */
export function copyButton(text, label = "Copy") {
  const button = h("button", { type: "button", className: "quiet small" }, label);
  button.addEventListener("click", async () => {
    setText(button, (await copy(text())) ? "Copied" : "Not copied");
    setTimeout(() => setText(button, label), 1500);
  });
  return button;
}

/** Offer a text as a file to download. */
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// The list of conversations; on a narrow screen a drawer over the page.

import { byId, h } from "./dom.js";
import { UNTITLED } from "./conversation.js";

const NARROW = matchMedia("(max-width: 50rem)");

export class Sidebar {
  constructor(open) {
    this.open = open;
    this.list = byId("conversations");
    this.opener = byId("open-sidebar");
    this.opener.addEventListener("click", () => this.toggle(true));
    byId("close-sidebar").addEventListener("click", () => this.toggle(false));
    byId("shade").addEventListener("click", () => this.toggle(false));
    NARROW.addEventListener("change", () => this.#apply(false));
    this.#apply(false);
  }

  /** Show what is kept; `running` holds the ids of conversations with a reply that runs. */
  show(entries, currentId, running) {
    const focused = this.list.contains(document.activeElement)
      ? document.activeElement.dataset.id
      : null;
    const items = entries.map((entry) => this.#item(entry, currentId, running.has(entry.id)));
    this.list.replaceChildren(...items);
    if (focused) this.list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Open or close the drawer; gives whether that changed anything. */
  toggle(opened) {
    if (!NARROW.matches || opened === this.opened) return false;
    this.#apply(opened);
    (opened ? byId("new") : this.opener).focus();
    return true;
  }

  #apply(opened) {
    this.opened = opened;
    document.body.classList.toggle("drawer-open", opened);
    this.opener.setAttribute("aria-expanded", String(opened));
    byId("shade").hidden = !opened;
    byId("main").inert = opened;
    byId("sidebar").inert = NARROW.matches && !opened;
  }

  #item({ id, title }, currentId, runs) {
    const button = h("button", { type: "button" }, h("span", {}, title || UNTITLED));
    button.dataset.id = id;
    if (id === currentId) button.setAttribute("aria-current", "page");
    if (runs) button.append(h("span", { className: "runs", title: "A reply runs" }, "…"));
    button.addEventListener("click", () => {
      this.toggle(false);
      this.open(id);
    });
    return h("li", {}, button);
  }
}

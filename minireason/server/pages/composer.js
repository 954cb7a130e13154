// The question and what is set for its reply.

import { byId, h } from "./dom.js";
import { isRunning } from "./reply.js";
import { saveSettings } from "./settings.js";

const FIELDS = {
  model: "model",
  effort: "effort",
  budget: "budget",
  samples: "samples",
  "stop-rule": "stopRule",
  parallel: "parallel",
  temperature: "temperature",
  "max-tokens": "maxTokens",
  seed: "seed",
};
const DRAFT = "minireason.draft";

export class Composer {
  constructor(chat) {
    this.chat = chat;
    this.settings = chat.settings;
    this.models = [];
    this.question = byId("question");
    this.form = byId("composer");
    this.#bindFields();
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.question.addEventListener("input", () => this.#grow());
    this.question.addEventListener("keydown", (event) => this.#key(event));
    byId("stop").addEventListener("click", () => chat.stop());
    byId("answer-now").addEventListener("click", () => chat.answerNow());
    byId("open-settings").addEventListener("click", () => byId("settings").showModal());
    this.#restoreDraft();
  }

  /** Offer these models, the one chosen last if it is still there. */
  offer(models) {
    this.models = models;
    const select = byId("model");
    select.replaceChildren(...models.map(({ id }) => h("option", { value: id }, id)));
    const kept = models.find(({ id }) => id === this.settings.model);
    const loaded = models.find((model) => model.loaded) ?? models[0];
    select.value = this.settings.model = (kept ?? loaded)?.id ?? "";
    this.#showFields();
  }

  /** Show the buttons that make sense while `reply` runs, or while none does. */
  update(reply) {
    const runs = Boolean(reply && isRunning(reply));
    const ending = !runs && !byId("stop").hidden;
    const focusWasOnThem = [byId("stop"), byId("answer-now")].includes(document.activeElement);
    byId("stop").hidden = !runs;
    byId("send").hidden = runs;
    byId("answer-now").hidden = !(runs && reply.state === "thinking");
    if (focusWasOnThem && (ending || byId("answer-now").hidden)) this.focus();
  }

  focus() {
    this.question.focus();
  }

  /** Put a text where the question goes. */
  write(text) {
    this.question.value = text;
    this.#grow();
    this.focus();
  }

  #bindFields() {
    for (const [id, name] of Object.entries(FIELDS)) {
      const field = byId(id);
      field.value = this.settings[name];
      field.addEventListener("change", () => {
        if (!field.reportValidity()) return;
        this.settings[name] = field.value;
        saveSettings(this.settings);
        this.#showFields();
      });
    }
    if (byId("effort").selectedIndex < 0) byId("effort").value = this.settings.effort = "";
    if (byId("samples").selectedIndex < 0) byId("samples").value = this.settings.samples = "1";
  }

  #showFields() {
    const model = this.models.find(({ id }) => id === this.settings.model);
    const thinks = model?.thinks ?? true;
    byId("effort-field").hidden = !thinks;
    byId("budget-field").hidden = !thinks || this.settings.effort !== "budget";
  }

  #submit(event) {
    event.preventDefault(); // the policy of the page forbids that a form goes anywhere
    const text = this.question.value.trim();
    if (!text || !this.chat.send(text)) return;
    this.question.value = "";
    this.#grow();
    this.focus();
  }

  #key(event) {
    if (event.key !== "Enter" || event.isComposing || event.shiftKey) {
      this.#keyUp(event);
      return;
    }
    event.preventDefault();
    if ((event.ctrlKey || event.metaKey) && this.chat.reply) this.chat.answerNow();
    else this.form.requestSubmit();
  }

  #keyUp(event) {
    const last = this.chat.current.turns.length - 1;
    if (event.key !== "ArrowUp" || this.question.value || last < 0 || this.chat.reply) return;
    event.preventDefault();
    this.editLast?.(last);
  }

  #grow() {
    this.question.style.height = "auto";
    this.question.style.height = `${this.question.scrollHeight}px`;
    this.#keepDraft();
  }

  #keepDraft() {
    try {
      sessionStorage.setItem(DRAFT, this.question.value);
    } catch {
      // A draft that long is not kept over a reload.
    }
  }

  #restoreDraft() {
    const draft = sessionStorage.getItem(DRAFT);
    if (draft) this.write(draft);
  }
}

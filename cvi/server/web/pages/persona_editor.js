/** The dialog in which a persona is made, changed, copied or deleted. */

import { h } from "../js/view/dom.js";
import { PersonaForm, changes, filled, sentence } from "./persona_form.js";

const CHECK_AFTER_MS = 400;
/** What the server says of a persona and nobody writes. */
const TOLD = ["persona_id", "pal_id", "pal_name", "default_face_id", "persona_type", "pal_type", "created_at", "updated_at",
  "not_in_effect", "substituted_for", "data", "message", "owner_id", "uuid"];

export class PersonaEditor {
  /** @param {{api: import("./api.js").Api, faces: () => {id: string, name: string}[], onSaved: (id: string | null) => void}} options */
  constructor({ api, faces, onSaved }) {
    this._api = api;
    this._faces = faces;
    this._onSaved = onSaved;
    this._schema = null;
    this._timer = 0;
    this._asked = 0;
  }

  /** Open it: on nothing for a new persona, on a persona of one's own, or on a copy of one that ships. */
  async open(persona = null) {
    this._schema ??= await this._api.personaSchema();
    const own = persona?.persona_type === "user";
    const whole = persona ? await this._api.persona(persona.persona_id) : {};
    this._before = filled(Object.fromEntries(Object.entries(whole).filter(([key]) => !TOLD.includes(key))));
    this._id = own ? persona.persona_id : null;
    const start = this._id || !persona ? this._before : { ...this._before, persona_name: `${whole.persona_name} (copy)` };
    this._form = new PersonaForm({ schema: this._schema, value: start, faces: this._faces(), onChange: () => this._later() });
    this._build(persona, own);
    document.body.append(this._dialog);
    this._dialog.showModal();
    this._form.element.querySelector("input, textarea")?.focus();
    if (persona) void this._check();
  }

  _build(persona, own) {
    const title = own ? `Edit ${persona.persona_name}` : persona ? `A copy of ${persona.persona_name}` : "New persona";
    this._summary = h("p", { class: "summary", role: "status" });
    this._others = h("ul", { class: "findings" });
    this._save = h("button", { type: "submit", class: "primary" }, own ? "Save" : "Create");
    this._dialog = h("dialog", { class: "editor", "aria-label": title, onclose: () => this._closed() },
      h("form", { onsubmit: (event) => this._submit(event) },
        h("header", {}, h("h2", {}, title),
          h("button", { type: "button", class: "plain", onclick: () => this._dialog.close() }, "Close")),
        h("div", { class: "body" }, this._form.element, this._others),
        h("footer", {},
          own ? h("button", { type: "button", class: "danger", onclick: () => this._delete(persona) }, "Delete") : null,
          this._summary, this._save)));
  }

  _closed() {
    clearTimeout(this._timer);
    this._dialog.remove();
  }

  _later() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => void this._check(), CHECK_AFTER_MS);
  }

  /** Show what is wrong, beside the fields; returns whether nothing is. */
  async _check() {
    const asked = (this._asked += 1);
    const document = { ...filled(this._form.value), ...(this._id && { persona_id: this._id }) };
    let answer;
    try {
      answer = await this._api.checkPersona(document);
    } catch (error) {
      this._tell(error.message, true);
      return false;
    }
    if (asked !== this._asked) return answer.errors === 0;
    const others = this._form.show(answer.findings);
    this._others.replaceChildren(...others.map((finding) => h("li", { class: finding.severity }, sentence(finding))));
    const warnings = answer.findings.length - answer.errors;
    const counted = [count(answer.errors, "error"), count(warnings, "remark")].filter(Boolean).join(", ");
    this._tell(counted || "Nothing to mend.", answer.errors > 0);
    this._save.disabled = answer.errors > 0;
    return answer.errors === 0;
  }

  async _submit(event) {
    event.preventDefault();
    clearTimeout(this._timer);
    if (!(await this._check())) return;
    const after = filled(this._form.value);
    try {
      if (this._id) {
        const patch = changes(this._before, after);
        if (patch.length) await this._api.changePersona(this._id, patch);
        this._onSaved(this._id);
      } else {
        this._onSaved((await this._api.createPersona(after)).persona_id);
      }
      this._dialog.close();
    } catch (error) {
      this._tell(error.message, true);
    }
  }

  async _delete(persona) {
    if (!confirm(`Delete ${persona.persona_name}? Its file is removed.`)) return;
    try {
      await this._api.deletePersona(persona.persona_id);
      this._onSaved(null);
      this._dialog.close();
    } catch (error) {
      this._tell(error.message, true);
    }
  }

  _tell(text, wrong) {
    this._summary.textContent = text;
    this._summary.classList.toggle("error", wrong);
  }
}

function count(number, noun) {
  return number ? `${number} ${noun}${number > 1 ? "s" : ""}` : "";
}

/** The documents that a conversation may answer from: those of this server, and new ones by their address. */

import { h } from "../js/view/dom.js";

const LOOK_AGAIN_MS = 2000;
const READING = new Set(["started", "processing", "recrawling"]);
const STATES = { started: "waiting", processing: "being read", recrawling: "being read again", ready: "", error: "cannot be used" };

export class Documents {
  /** `api`: an `Api`; `list`: where they are shown; `address`, `add`: a field and its button; `tell`: shows a problem. */
  constructor({ api, list, address, add, tell }) {
    Object.assign(this, { _api: api, _list: list, _address: address, _tell: tell });
    this._chosen = new Set();
    add.addEventListener("click", () => void this._add());
    // Enter adds; it does not start a conversation.
    address.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      void this._add();
    });
  }

  /** The ids of those that the conversation shall know. */
  get chosen() {
    return [...this._chosen];
  }

  /** Show what there is, and look again while something is being read. */
  async load() {
    clearTimeout(this._again);
    const found = await this._api.documents();
    this._list.replaceChildren(...found.map((one) => this._row(one)));
    if (found.some((one) => READING.has(one.status))) {
      this._again = setTimeout(() => void this.load().catch(() => {}), LOOK_AGAIN_MS);
    }
  }

  _row(one) {
    const id = one.document_id;
    const checked = this._chosen.has(id);
    const onchange = ({ target }) => (target.checked ? this._chosen.add(id) : this._chosen.delete(id));
    const state = STATES[one.status] ?? one.status;
    const why = one.status === "error" ? one.error_details ?? one.error_message ?? "" : "";
    return h("label", { class: "check", "data-id": id, title: one.document_url ?? "" },
      h("input", { type: "checkbox", checked, onchange }),
      h("span", {}, one.document_name, ...(state ? [h("small", { role: "status" }, ` ${state}${why ? `: ${why}` : ""}`)] : [])));
  }

  async _add() {
    const document_url = this._address.value.trim();
    if (!document_url) return;
    try {
      const made = await this._api.createDocument({ document_url });
      this._chosen.add(made.document_id);
      this._address.value = "";
      this._tell("");
      await this.load();
    } catch (error) {
      this._tell(error.message);
    }
  }
}

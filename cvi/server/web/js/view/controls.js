/** The row of buttons. */

import { canShareScreen } from "../devices.js";
import { h, icon } from "./dom.js";

export class Controls {
  /**
   * @param {{say: Function, audioOnly: boolean, wanted: Set<string> | null,
   *          on: Record<string, () => void>}} options
   *   `wanted`: which buttons to show, null for all; `on`: what each does.
   */
  constructor({ say, audioOnly, wanted, on }) {
    this._say = say;
    this._buttons = {};
    const left = [
      this._add("microphone", "muteOn", on),
      audioOnly ? null : this._add("camera", "cameraTurnOff", on),
      canShareScreen() ? this._add("screen", "shareScreen", on) : null,
    ];
    const middle = [
      this._add("interrupt", "interrupt", on),
      this._add("captions", "captionsOff", on),
      this._add("chat", "chat", on),
      this._add("settings", "settings", on),
    ];
    this.element = h("nav", { class: "controls", role: "toolbar", "aria-label": say("controls"),
      onkeydown: (event) => this._arrow(event) }, left, middle, this._add("leave", "leave", on));
    for (const [name, button] of Object.entries(this._buttons)) {
      if (wanted && !wanted.has(name) && name !== "leave") button.remove();
    }
    this._buttons.interrupt.disabled = true;
  }

  focus() {
    this.element.querySelector("button:not(:disabled)")?.focus();
  }

  /** Show what is on. */
  show({ microphone, camera, screen, muted }) {
    this._set("microphone", microphone, microphone ? "muteOn" : muted ? "muteOff" : "microphoneOn", microphone ? "microphone" : "microphone-off");
    this._set("camera", camera, camera ? "cameraTurnOff" : "cameraTurnOn", camera ? "camera" : "camera-off");
    this._set("screen", screen, screen ? "stopScreen" : "shareScreen", "screen");
    this._buttons.microphone.classList.toggle("off", !microphone);
    this._buttons.camera?.classList.toggle("off", !camera);
  }

  set speaking(speaking) {
    this._buttons.interrupt.disabled = !speaking;
  }

  set captions(shown) {
    this._set("captions", shown, shown ? "captionsOff" : "captionsOn", "captions");
  }

  /** Which panel is open: "chat", "settings" or "". */
  set panel(open) {
    for (const name of ["chat", "settings"]) {
      this._buttons[name].classList.toggle("on", open === name);
      this._buttons[name].setAttribute("aria-expanded", String(open === name));
    }
  }

  /** Something was written that the person has not seen. */
  set unread(unread) {
    this._buttons.chat.classList.toggle("unread", unread);
  }

  focusOn(name) {
    this._buttons[name]?.focus();
  }

  _add(name, label, on) {
    const button = h("button", { type: "button", class: `control for-${name}`, onclick: on[name] }, icon(name));
    this._buttons[name] = button;
    this._label(button, label);
    return button;
  }

  _set(name, on, label, drawing) {
    const button = this._buttons[name];
    if (!button) return;
    button.replaceChildren(icon(drawing));
    button.classList.toggle("on", on && (name === "screen" || name === "captions"));
    this._label(button, label);
  }

  _label(button, label) {
    button.setAttribute("aria-label", this._say(label));
    button.title = this._say(label);
  }

  /** Arrow keys move along the row, as in any toolbar. */
  _arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const buttons = [...this.element.querySelectorAll("button:not(:disabled)")];
    const at = buttons.indexOf(event.target);
    buttons[(at + step + buttons.length) % buttons.length]?.focus();
    event.preventDefault();
  }
}

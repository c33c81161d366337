/** The persona's face, and what lies on it: who it is, captions, the self-view, notices. */

import { LevelMeter } from "../level.js";
import { Captions } from "./captions.js";
import { h, icon } from "./dom.js";

const LETTER_PX = 11;

export class Stage {
  constructor({ say, name, logo, portrait = "", audioOnly, typed, recording, disclosure = "", onStopScreen, onFullscreen }) {
    this._say = say;
    this._audioOnly = audioOnly;
    this._typed = typed;
    this._meter = null;
    this._line = null;
    this.video = h("video", { class: "face", autoplay: true, playsinline: "", "aria-label": say("faceOf", { name }) });
    this._orb = h("div", { class: "orb", "aria-hidden": "true" }, h("span", {}, initial(name)));
    this._portrait = portrait ? h("img", { class: "portrait", src: portrait, alt: "",
      onload: () => this._portrait.classList.add("drawn"), onerror: () => this._portrait.remove() }) : null;
    this._activity = h("span", { class: "activity" }, say("waiting"));
    this._badge = h("header", { class: "badge" }, logo ? h("img", { src: logo, alt: "" }) : null, h("i", {}), h("b", {}, name), this._activity);
    this._self = h("video", { class: "self", autoplay: true, muted: true, playsinline: "", hidden: true, "aria-label": say("selfView") });
    this._muted = h("span", { class: "chip muted", hidden: true }, icon("microphone-off"), say("hearing"));
    this._silent = h("span", { class: "chip", hidden: true }, icon("microphone-off"), say("noMicrophone"));
    this._sharing = h("span", { class: "chip sharing", hidden: true }, icon("screen"), say("yourScreen"),
      h("button", { type: "button", onclick: onStopScreen }, say("stopScreen")));
    this._recorded = recording ? h("span", { class: "chip recorded-here" }, h("i"), say("recorded")) : null;
    this._disclosed = disclosure ? h("span", { class: "chip disclosure" }, disclosure) : null;
    this._notice = h("p", { class: "notice" });
    this._detail = h("p", { class: "detail" });
    this._spoken = h("p", { class: "visually-hidden", role: "status" });
    this._hear = h("button", { type: "button", class: "hear", hidden: true, onclick: () => this.play() },
      icon("sound"), say("tapToHear", { name }));
    this._full = h("button", { type: "button", class: "quiet full", "aria-label": say("fullscreen"), title: say("fullscreen"),
      hidden: !document.fullscreenEnabled, onclick: onFullscreen }, icon("expand"));
    this.captions = new Captions(say, name);
    this.element = h("section", { class: "stage", "data-activity": "waiting", tabIndex: -1, "aria-label": name },
      this._orb, this._portrait, this.video, this._badge, this._full, this._self,
      h("div", { class: "chips" }, this._muted, this._silent, this._sharing, this._recorded, this._disclosed), this.captions.element, this._hear,
      this._notice, this._detail, this._spoken);
    this.video.addEventListener("resize", () => this._shown());
    this.video.addEventListener("loadeddata", () => this._shown());
  }

  /** Play what the persona sends; where the browser wants a touch first, ask for it. */
  async play(stream) {
    if (stream && this.video.srcObject !== stream) this.video.srcObject = stream;
    try {
      await this.video.play();
      this._hear.hidden = true;
    } catch (error) {
      this._hear.hidden = error.name !== "NotAllowedError";
    }
  }

  /** A voice without a face: the orb moves with it. */
  listenTo(track) {
    this._meter?.close();
    this._meter = new LevelMeter(track, (level) => this._orb.style.setProperty("--loud", level.toFixed(2)));
  }

  speakThrough(deviceId) {
    return this.video.setSinkId?.(deviceId);
  }

  set activity(activity) {
    this.element.dataset.activity = activity;
    this._activity.textContent = this._say(activity);
  }

  show(local) {
    this._self.srcObject = local.camera ? new MediaStream([local.camera]) : null;
    this._self.hidden = !local.camera;
    this._muted.hidden = this._typed || local.audio?.enabled !== false;
    this._silent.hidden = this._typed || local.audio !== null;
    this._sharing.hidden = !local.screen;
  }

  /** A caption, broken to the width of the stage. */
  caption(line) {
    this._line = line;
    this.captions.show(line, Math.max(24, Math.min(52, Math.floor(this.captions.room / LETTER_PX))));
  }

  /** Break the caption that is shown anew: there is more room now, or less. */
  refit() {
    if (this.captions.element.childElementCount) this.caption(this._line);
  }

  /** Something to know now. It stays until it is replaced or taken back with "". `busy` dims the picture. */
  notice(text, { busy = false, quiet = false } = {}) {
    this._notice.textContent = quiet ? "" : text;
    this._spoken.textContent = text;
    this.element.classList.toggle("busy", busy);
    if (!busy) this.detail("");
  }

  /** A second, quieter line under the notice, "" for none. */
  detail(text) {
    this._detail.textContent = text;
  }

  close() {
    this._meter?.close();
    this.captions.clear();
    this.video.srcObject = null;
    this._self.srcObject = null;
  }

  _shown() {
    if (this.video.videoWidth > 2 && !this._audioOnly) this.element.classList.add("seen");
  }
}

function initial(name) {
  return [...name.trim()][0]?.toUpperCase() ?? "";
}

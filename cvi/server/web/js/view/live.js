/** The conversation itself: the stage, the row of buttons, and a panel beside them. */

import { Chat } from "./chat.js";
import { Controls } from "./controls.js";
import { h } from "./dom.js";
import { deviceProblem } from "./fields.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";

const NOTICE_MS = 6_000;

export class Live {
  /**
   * @param {{say: Function, name: string, conversation: import("../client.js").Conversation,
   *          audioOnly: boolean, captions: boolean, logo: string, portrait: string, wanted: Set<string> | null,
   *          speakerId: string, host: HTMLElement}} options
   */
  constructor(options) {
    const { say, name, conversation, audioOnly, captions, logo, portrait, wanted, speakerId, host } = options;
    this._say = say;
    this._name = name;
    this._conversation = conversation;
    this._host = host;
    this._audioOnly = audioOnly;
    this._panel = "";
    this._noticeTimer = 0;
    this._ending = new AbortController();
    const { recording = false, chat: typed = false, disclosure = "" } = conversation.facts ?? {};
    this._stage = new Stage({ say, name, logo, portrait, audioOnly, typed, recording, disclosure,
      onStopScreen: () => conversation.stopScreen(), onFullscreen: () => this._fullscreen() });
    this._controls = new Controls({ say, audioOnly, wanted, on: {
      microphone: () => this._microphone(),
      camera: () => this._attempt(() => conversation.setCamera(!conversation.local.camera)),
      screen: () => this._attempt(() => (conversation.local.screen ? conversation.stopScreen() : conversation.shareScreen())),
      interrupt: () => conversation.interrupt(),
      captions: () => this._captions(!this._stage.captions.shown),
      chat: () => this._open("chat"),
      settings: () => this._open("settings"),
      leave: () => conversation.leave(),
    } });
    this._chat = new Chat({ say, name, onSend: (text) => conversation.respond(text), onClose: () => this._open("") });
    this._settings = new Settings({ say, conversation, audioOnly, captions, onClose: () => this._open(""),
      onCaptions: (shown) => this._captions(shown), onSpeaker: (id) => this._stage.speakThrough(id),
      onProblem: (problem) => this.tell(problem) });
    this._side = h("aside", { class: "side", hidden: true });
    this.element = h("main", { class: "live" }, h("div", { class: "column" }, this._stage.element, this._controls.element), this._side);
    this._captions(captions && !typed);
    this._listen();
    this._show();
    this._stage.notice(say(conversation.facts?.state === "starting" ? "preparing" : "joining", { name }), { busy: true });
    this._loading(conversation.facts?.loading ?? []);
    if (speakerId) void this._stage.speakThrough(speakerId)?.catch(() => this._stage.speakThrough(""));
  }

  close() {
    this._ending.abort();
    clearTimeout(this._noticeTimer);
    void this._lock?.release?.();
    this._settings.close();
    this._stage.close();
  }

  focus() {
    this._controls.focus();
  }

  /** Open the chat, ready to be written in. */
  write() {
    this._open("chat");
  }

  /** Say that a device could not be had. */
  tell(problem) {
    this._flash(deviceProblem(this._say, problem));
  }

  /** A shortcut: M microphone, V camera, C captions, I or Space interrupt, T chat, Escape closes the panel. */
  key(event) {
    if (event.key === "Escape" && this._panel) return this._open("");
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const target = event.composedPath()[0];
    if (target.closest?.("input, textarea, select")) return;
    if (event.key === " " && target.closest?.("button")) return;
    const button = { m: "microphone", v: "camera", c: "captions", i: "interrupt", " ": "interrupt", t: "chat" }[event.key.toLowerCase()];
    if (!button) return;
    event.preventDefault();
    this._controls.element.querySelector(`.for-${button}`)?.click();
  }

  _listen() {
    const on = (type, listener) => this._conversation.addEventListener(type, ({ detail }) => listener(detail), { signal: this._ending.signal });
    on("track", ({ track, stream }) => {
      void this._stage.play(stream);
      if (track.kind === "audio" && this._audioOnly) this._stage.listenTo(track);
    });
    on("caption", (line) => {
      if (!line.typed) this._stage.caption(line);
      this._chat.update(line);
      if (this._panel !== "chat" && line.speaker === "persona") this._controls.unread = true;
    });
    on("activity", ({ activity }) => {
      this._stage.activity = activity;
      this._controls.speaking = activity === "speaking";
    });
    on("app-message", (event) => {
      if (event.event_type === "system.notice") this._flash(event.properties?.message ?? "");
    });
    on("localchange", () => this._show());
    on("quality", ({ quality }) => this._stage.notice(quality === "good" ? "" : this._say(quality)));
    on("progress", ({ state, loading }) => {
      if (state === "starting") this._stage.notice(this._say("preparing", { name: this._name }), { busy: true });
      this._loading(loading);
    });
    on("statechange", ({ state, previous }) => this._follow(state, previous));
  }

  /** What is still loading, in words, while nobody is to be seen. */
  _loading(layers) {
    const parts = layers.map((layer) => this._say(`layer_${layer}`));
    this._stage.detail(parts.length ? this._say("loadingParts", { parts: parts.join(", ") }) : "");
  }

  _follow(state, previous) {
    if (state === "reconnecting") {
      clearTimeout(this._noticeTimer);
      this._stage.notice(this._say("reconnecting"), { busy: true });
    } else if (state === "connected" && previous === "reconnecting") {
      this._stage.activity = this._conversation.activity;
      this._flash(this._say("reconnected"));
    } else if (state === "connected") {
      this._stage.activity = this._conversation.activity;
      this._stage.notice(this._say("joined", { name: this._name }), { quiet: true });
      void this._stayAwake();
    }
  }

  _show() {
    const { local, muted } = this._conversation;
    this._stage.show(local);
    this._controls.show({ microphone: local.audio !== null && !muted, camera: local.camera !== null, screen: local.screen !== null,
      muted: local.audio !== null && muted });
  }

  _microphone() {
    const { local, muted } = this._conversation;
    if (local.audio) this._conversation.setMuted(!muted);
    else void this._attempt(() => this._conversation.setMicrophone(true));
  }

  async _attempt(change) {
    try {
      await change();
    } catch (problem) {
      // Somebody who closes the choice of screens changed their mind; that is no problem.
      if (problem.device !== "screen") this.tell(problem);
    }
  }

  _captions(shown) {
    this._stage.captions.shown = shown;
    this._controls.captions = shown;
    this._settings.captions = shown;
  }

  /** Open a panel, or close the one that is open. */
  _open(panel) {
    const before = this._panel;
    this._panel = panel === before ? "" : panel;
    this._side.hidden = !this._panel;
    this._controls.panel = this._panel;
    const open = { chat: this._chat, settings: this._settings }[this._panel];
    this._side.replaceChildren(...(open ? [open.element] : []));
    this._stage.refit();
    if (this._panel === "settings") void this._settings.list();
    if (this._panel === "chat") {
      this._controls.unread = false;
      this._chat.scrollToEnd();
    }
    if (open) open.focus();
    else this._controls.focusOn(before);
  }

  _flash(text) {
    clearTimeout(this._noticeTimer);
    this._stage.notice(text);
    this._noticeTimer = setTimeout(() => this._stage.notice(""), NOTICE_MS);
  }

  _fullscreen() {
    if (document.fullscreenElement) void document.exitFullscreen();
    else this._host.requestFullscreen().catch(() => this._flash(this._say("otherTitle")));
  }

  async _stayAwake() {
    // Where it cannot be had (battery low, page hidden) the screen dims as it always does.
    this._lock = await navigator.wakeLock?.request("screen").catch(() => null);
  }
}

/**
 * <cvi-conversation url="https://your-server/c/c0123"></cvi-conversation>
 *
 * A whole conversation in one element: the look in the mirror before, the face, captions, chat, the
 * buttons, the end. Attributes, events and CSS variables are listed in docs/embed.md.
 */

import { Conversation, RoomError } from "./client.js";
import { openDevices, rememberedDevices } from "./devices.js";
import { Live } from "./view/live.js";
import { over, waiting } from "./view/over.js";
import { PreJoin } from "./view/prejoin.js";
import { sheets } from "./view/styles.js";
import { words } from "./view/words.js";

export { Conversation, DeviceError, RoomError, join } from "./client.js";

const PASSED_ON = ["statechange", "joined", "left", "app-message", "caption", "activity", "quality", "progress"];

/** Where there is no browser (a server that renders pages) the module can still be loaded. */
const Base = globalThis.HTMLElement ?? class {};

export class CviConversationElement extends Base {
  static observedAttributes = ["url", "token"];

  constructor() {
    super();
    this._root = this.attachShadow({ mode: "open" });
    this._root.adoptedStyleSheets = sheets();
    this._frame = document.createElement("div");
    this._frame.className = "frame";
    this._root.append(this._frame);
    this._view = null;
    this._onKey = (event) => this._view?.key?.(event);
    this._onOnline = () => void this._load();
    /** @type {Conversation | null} the conversation under way */
    this.conversation = null;
  }

  connectedCallback() {
    // On a page of its own every key is meant for the conversation; elsewhere, those pressed inside it.
    this._keys = this.hasAttribute("page") ? window : this;
    this._keys.addEventListener("keydown", this._onKey);
    void this._load();
  }

  disconnectedCallback() {
    this._keys.removeEventListener("keydown", this._onKey);
    this._drop();
  }

  attributeChangedCallback(name, before, now) {
    if (this.isConnected && before !== now) void this._load();
  }

  /** Leave the conversation. */
  leave() {
    this.conversation?.leave();
  }

  /** Send one event of the Interactions Protocol. Returns false when not connected. */
  sendAppMessage(event) {
    return this.conversation?.sendAppMessage(event) ?? false;
  }

  _drop() {
    removeEventListener("online", this._onOnline);
    this._view?.close?.();
    this._view = null;
    const conversation = this.conversation;
    this.conversation = null;
    conversation?.leave();
  }

  async _load() {
    this._drop();
    const url = this.getAttribute("url");
    this._say = words(this.getAttribute("lang"), navigator.language);
    this._place(waiting(this._say));
    if (!url) return;
    let conversation;
    try {
      conversation = this._conversationFor(url);
      this.conversation = conversation;
      const config = await conversation.config();
      if (conversation !== this.conversation) return;
      this._say = words(this.getAttribute("lang"), config.language, navigator.language);
      this._brand(config.brand);
      const refusal = conversation.refusal();
      if (refusal?.code === "ended") return this._over(conversation, { state: "ended", reason: config.shutdown_reason ?? "" });
      if (refusal) throw refusal;
    } catch (error) {
      if (conversation === this.conversation) this._over(conversation ?? null, { state: "failed", error });
      return;
    }
    if (conversation.facts.chat) await this._join(conversation, { audio: false, video: false });
    else if (this.hasAttribute("autojoin")) await this._joinAtOnce(conversation);
    else this._preJoin(conversation);
  }

  _conversationFor(url) {
    const key = `cvi.participant.${url.split("?")[0]}`;
    const conversation = new Conversation(url, {
      token: this.getAttribute("token") ?? undefined,
      participantId: recall(key),
    });
    conversation.addEventListener("joined", ({ detail }) => recall(key, detail.participantId));
    for (const type of PASSED_ON) {
      conversation.addEventListener(type, ({ detail }) => this._emit(type, detail));
    }
    return conversation;
  }

  _preJoin(conversation) {
    const config = conversation.facts;
    const view = new PreJoin({
      say: this._say,
      name: this._name(config),
      audioOnly: this._audioOnly(config),
      recording: config.recording === true,
      participant: this.getAttribute("name") ?? "",
      logo: this._logo,
      onJoin: (choice) => void this._join(conversation, choice),
    });
    this._place(view.element, view);
  }

  /** Join with whatever devices can be had. */
  async _joinAtOnce(conversation) {
    const camera = !this._audioOnly(conversation.facts);
    const { microphone: microphoneId, camera: cameraId } = rememberedDevices();
    const opened = await openDevices({ audio: true, camera, microphoneId, cameraId });
    if (conversation !== this.conversation) {
      opened.audio?.stop();
      opened.camera?.stop();
      return;
    }
    await this._join(conversation, { audio: opened.audio ?? false, video: opened.camera ?? false, problems: opened.problems });
  }

  async _join(conversation, { audio, video, muted = false, name, speakerId = "", problems = [] }) {
    const config = conversation.facts;
    const audioOnly = this._audioOnly(config);
    const view = new Live({
      say: this._say,
      name: this._name(config),
      conversation,
      audioOnly,
      captions: (this.getAttribute("captions") ?? (config.captions === false ? "off" : "on")) !== "off",
      logo: this._logo,
      portrait: audioOnly ? "" : safeImage(config.portrait),
      wanted: this._wantedControls(config),
      speakerId,
      host: this,
    });
    this._place(view.element, view);
    if (config.chat) view.write();
    else view.focus();
    conversation.addEventListener("left", ({ detail }) => {
      if (conversation !== this.conversation) return;
      this._over(conversation, { state: conversation.state, reason: detail.reason, error: detail.error });
    }, { once: true });
    try {
      await conversation.join({ audio, video, muted, name: name ?? this.getAttribute("name") ?? "" });
      if (problems.length) view.tell(problems[0]);
    } catch (error) {
      // The element shows it (see "left"); whoever listens is told, too.
      this._emit("error", { error });
    }
  }

  /** The names of the buttons to show; null for all. */
  _wantedControls(config) {
    if (this.hasAttribute("controls")) return new Set(this.getAttribute("controls").split(/[\s,]+/));
    return config.chat ? new Set(["chat"]) : null;
  }

  _over(conversation, { state, reason = "", error = null }) {
    if (!(error === null || error instanceof Error)) error = new RoomError("refused", String(error));
    const view = over({
      say: this._say,
      name: conversation?.facts ? this._name(conversation.facts) : this._say("persona"),
      state,
      reason,
      error,
      transcript: conversation?.transcript ?? null,
      onAgain: () => void this._load(),
    });
    this._place(view.element);
    view.heading.focus();
    // Nothing was wrong but the way: as soon as there is one, the room is there again.
    if (error?.code === "unreachable" || error?.code === "lost") addEventListener("online", this._onOnline, { once: true });
  }

  _place(element, view = null) {
    this._view?.close?.();
    this._view = view;
    this._frame.replaceChildren(element);
  }

  _name(config) {
    return this.getAttribute("persona-name") || config.persona_name || config.pal_name || this._say("persona");
  }

  _audioOnly(config) {
    return config.audio_only === true || this.hasAttribute("audio-only");
  }

  _brand(brand) {
    this._logo = safeImage(this.getAttribute("logo") || brand?.logo);
    const accent = this.getAttribute("accent") || brand?.accent;
    if (accent && CSS.supports("color", accent)) this.style.setProperty("--cvi-accent", accent);
  }

  _emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

/** The address of a picture that may be shown, or "". */
function safeImage(address) {
  if (!address) return "";
  try {
    const url = new URL(address, location.href);
    return url.protocol === "https:" || url.origin === location.origin ? url.href : "";
  } catch {
    return "";
  }
}

/** Who one was in this conversation, so that a page loaded anew comes back as the same participant. */
function recall(key, value) {
  try {
    if (value) sessionStorage.setItem(key, value);
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return ""; // No storage in this frame: one comes back as somebody new.
  }
}

if (globalThis.customElements && !customElements.get("cvi-conversation")) {
  customElements.define("cvi-conversation", CviConversationElement);
}

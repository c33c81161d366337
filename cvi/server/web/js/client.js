/**
 * A conversation as one participant has it.
 *
 *     import { join } from "https://your-server/client.js";
 *     const conversation = await join(conversationUrl, { audio: true, video: true });
 *     video.srcObject = conversation.stream;
 *     conversation.addEventListener("caption", ({ detail }) => console.log(detail.text));
 *
 * No dependency, no build step. Types are in client.d.ts.
 */

import { openCamera, openMicrophone, openScreen } from "./devices.js";
import { RoomError } from "./errors.js";
import { Peer } from "./peer.js";
import { QualityWatch } from "./quality.js";
import { RoomAddress, refusalOf } from "./signalling.js";
import { Transcript, activityAfter } from "./transcript.js";

export { DeviceError, RoomError } from "./errors.js";
export { Transcript } from "./transcript.js";
export { LevelMeter } from "./level.js";
export {
  canChooseSpeaker,
  canShareScreen,
  devicesUnavailable,
  listDevices,
  openCamera,
  openMicrophone,
  openScreen,
} from "./devices.js";

/** A connection that is silent this long is replaced rather than waited for. */
const DROPPED_AFTER_MS = 2_500;
const RETRY_DELAYS_MS = [0, 500, 1_000, 2_000, 4_000];
/** While the browser knows that it has a network, and while it knows that it has none. */
const GIVE_UP_AFTER_MS = 60_000;
const OFFLINE_GIVE_UP_AFTER_MS = 600_000;
const READY_WITHIN_MS = 120_000;
/** How often a page that waits asks what still loads; the server limits how often it answers. */
const LOOK_EVERY_MS = 3_000;

/** Make a Conversation and join it. Raises RoomError and DeviceError. */
export async function join(url, options = {}) {
  const conversation = new Conversation(url, options);
  await conversation.join(options);
  return conversation;
}

export class Conversation extends EventTarget {
  /** @param {string} url @param {{token?: string, participantId?: string}} [options] */
  constructor(url, { token, participantId } = {}) {
    super();
    this._address = new RoomAddress(url, token);
    this._peer = null;
    /** The room's facts once they were asked for; see `config`. */
    this.facts = null;
    this._name = "";
    this._attempt = 0;
    this._dropTimer = 0;
    this._shutdown = "";
    this._quality = new QualityWatch((quality) => this._emit("quality", { quality }));
    this._onOnline = () => this._tryNow();
    this._onPageHide = (event) => event.persisted || this._sayGoodbye();

    /** @type {import("./client.js").State} */
    this.state = "new";
    /** @type {RoomError | null} why the state is `failed` */
    this.error = null;
    this.participantId = participantId ?? "";
    this._chosenId = newParticipantId();
    /** The persona's sound and picture; one MediaStream for the whole conversation. */
    this.stream = new MediaStream();
    /** What the participant sends; null where nothing is sent. */
    this.local = { audio: null, camera: null, screen: null };
    /** @type {import("./client.js").Activity} what the persona does */
    this.activity = "listening";
    this.transcript = new Transcript();
  }

  get conversationId() {
    return this.facts?.conversation_id ?? this._address.id;
  }

  get muted() {
    return !this.local.audio?.enabled;
  }

  /** The room's facts (names, language, state), asked for once. Raises RoomError. */
  async config() {
    if (!this.facts) this.facts = await this._address.config();
    return this.facts;
  }

  /** Why this room cannot be entered, as far as its facts tell; null when it can. */
  refusal() {
    return refusalOf(this.facts, this.participantId !== "");
  }

  /**
   * Enter the room.
   *
   * `audio` and `video`: true to open the usual device, a device id, a MediaStreamTrack, or false.
   * Raises RoomError when the room cannot be entered, DeviceError when a device cannot be had.
   */
  async join({ audio = true, video = true, muted = false, name = "" } = {}) {
    if (this.state !== "new" && !this._isOver()) throw new RoomError("refused", "Already in this conversation.");
    this._name = name;
    this._shutdown = "";
    this.error = null;
    addEventListener("pagehide", this._onPageHide);
    this._become("connecting");
    try {
      const config = await this.config();
      const refusal = this.refusal();
      if (refusal) throw refusal;
      if (audio) await this.setMicrophone(audio);
      if (muted) this.setMuted(true);
      if (video && !config.audio_only) await this.setCamera(video);
      await this._connectWhenReady();
    } catch (error) {
      for (const given of [audio, video]) if (given instanceof MediaStreamTrack) given.stop();
      this._finish("failed", error);
      throw error;
    }
    if (this.state !== "connected") return; // Left before it was entered.
    addEventListener("online", this._onOnline);
    this._emit("joined", { participantId: this.participantId });
  }

  /** Leave for good and let go of every device. */
  leave() {
    if (this._isOver()) return;
    this._sayGoodbye();
    this._finish("left");
  }

  /** Send one event of the Interactions Protocol; `conversation_id` is filled in. Returns false when not connected. */
  sendAppMessage(event) {
    return (
      this._peer?.message({ message_type: "conversation", conversation_id: this.conversationId, ...event }) ?? false
    );
  }

  /** Say something by typing it. */
  respond(text) {
    const sent = this.sendAppMessage({ event_type: "conversation.respond", properties: { text } });
    if (sent) this._emit("caption", this.transcript.typed(text));
    return sent;
  }

  /** Have the persona say exactly this. */
  echo(text) {
    const properties = { modality: "text", text, done: true };
    return this.sendAppMessage({ event_type: "conversation.echo", properties });
  }

  /** Stop what the persona is saying. */
  interrupt() {
    return this.sendAppMessage({ event_type: "conversation.interrupt", properties: {} });
  }

  /** Use this microphone: true, a device id, a track, or false for none. Raises DeviceError. */
  async setMicrophone(choice) {
    const muted = this.local.audio !== null && this.muted;
    const track = await opened(choice, openMicrophone);
    if (track && muted) track.enabled = false;
    await this._put("audio", track);
  }

  /** Use this camera: true, a device id, a track, or false to switch it off. Raises DeviceError. */
  async setCamera(choice) {
    await this._put("camera", await opened(choice, openCamera));
  }

  /** Be silent without letting go of the microphone. */
  setMuted(muted) {
    if (this.local.audio) this.local.audio.enabled = !muted;
    this._emit("localchange", { local: this.local });
  }

  /** Ask which screen to share, and share it. Raises DeviceError. */
  async shareScreen() {
    const track = await openScreen();
    track.addEventListener("ended", () => this.local.screen === track && void this.stopScreen());
    await this._put("screen", track);
  }

  async stopScreen() {
    await this._put("screen", null);
  }

  async _put(place, track) {
    const before = this.local[place];
    this.local[place] = track;
    await this._peer?.send(place, track);
    if (before && before !== track) before.stop();
    this._emit("localchange", { local: this.local });
  }

  /** A conversation that was just created still loads its engines; the server then asks for patience. */
  async _connectWhenReady() {
    const started = performance.now();
    const looking = this.facts.state === "starting" ? setInterval(() => void this._look(), LOOK_EVERY_MS) : 0;
    if (looking) void this._look();
    try {
      for (;;) {
        try {
          return await this._connect();
        } catch (error) {
          // Meanwhile the server may be started again, or others behind the same address ask too often.
          const waits = error.status === 503 || (error.retry && this.facts.state === "starting");
          const starting = error instanceof RoomError && waits && this.state === "connecting";
          if (!starting || performance.now() - started > READY_WITHIN_MS) throw error;
          await this._pause(1_000);
        }
      }
    } finally {
      clearInterval(looking);
    }
  }

  /** Tell what the room still loads. */
  async _look() {
    const facts = await this._address.config().catch(() => null);
    if (facts && this.state === "connecting") this._emit("progress", { state: facts.state, loading: facts.loading ?? [] });
  }

  async _connect() {
    const { ice_servers: iceServers = [], ice_transport_policy: iceTransportPolicy = "all" } = this.facts;
    const peer = new Peer({ iceServers, iceTransportPolicy }, {
      onTrack: (track) => peer === this._peer && this._show(track),
      onMessage: (text) => peer === this._peer && this._read(text),
      onState: (state) => peer === this._peer && this._watch(state),
    });
    // The old connection keeps the last picture on the screen until the new one has its own.
    const before = this._peer;
    this._peer = peer;
    try {
      await this._negotiate(peer);
    } catch (error) {
      peer.close();
      if (peer === this._peer) this._peer = before;
      else before?.close();
      throw error;
    }
    before?.close();
    if (peer !== this._peer) return; // Left while the server was answering.
    this._become("connected");
    this._quality.watch(peer);
  }

  async _negotiate(peer) {
    for (const [place, track] of Object.entries(this.local)) if (track) await peer.send(place, track);
    const sdp = await peer.offer();
    // The same from the first offer on, so that one that was answered too late does not keep the next one out.
    const participantId = this.participantId || this._chosenId;
    const answer = await this._address.offer({ sdp, name: this._name, participantId });
    if (peer !== this._peer) return;
    this.participantId = answer.participant_id ?? this.participantId;
    if (!(await peer.accept(answer.sdp)) && peer === this._peer) {
      throw new RoomError("no-path", "The server answered, but no media passes between you.", { retry: true });
    }
  }

  _show(track) {
    for (const old of this.stream.getTracks()) if (old.kind === track.kind) this.stream.removeTrack(old);
    this.stream.addTrack(track);
    this._emit("track", { track, kind: track.kind, stream: this.stream });
  }

  _read(text) {
    let event;
    try {
      event = JSON.parse(text);
      if (typeof event === "string") event = JSON.parse(event);
    } catch {
      return; // Not of this protocol; later versions may send other things.
    }
    if (event === null || typeof event !== "object") return;
    const line = this.transcript.read(event);
    if (line) this._emit("caption", line);
    this._follow(event);
    this._emit("app-message", event);
  }

  /** Keep track of what the persona does, and of the end. */
  _follow(event) {
    if (event.event_type === "system.shutdown") {
      this._shutdown = event.properties?.shutdown_reason ?? event.properties?.reason ?? "ended";
      this._finish("ended");
    } else {
      this._act(activityAfter(event, this.activity));
    }
  }

  _act(activity) {
    if (this.activity === activity) return;
    this.activity = activity;
    this._emit("activity", { activity });
  }

  _watch(state) {
    if (state === "connected") this._keep();
    if (this.state !== "connected") return;
    if (state === "failed" || state === "closed" || state === "channel-closed") {
      void this._reconnect();
    } else if (state === "disconnected") {
      this._replaceLater();
      void this._mend(this._peer);
    }
  }

  _keep() {
    clearTimeout(this._dropTimer);
    this._dropTimer = 0;
  }

  _replaceLater() {
    clearTimeout(this._dropTimer);
    this._dropTimer = setTimeout(() => void this._reconnect(), DROPPED_AFTER_MS);
  }

  /** Find the connection that is there another way; `_dropTimer` replaces one that cannot be mended. */
  async _mend(peer) {
    try {
      const sdp = await peer.offer({ restart: true });
      const answer = await this._address.offer({ sdp, name: this._name, participantId: this.participantId, restart: true });
      if (peer !== this._peer || this.state !== "connected") return;
      await peer.mend(answer.sdp);
      if (this._dropTimer) this._replaceLater();
    } catch (error) {
      // The server no longer has it: no use in waiting. Where nothing can be reached the timer decides.
      if (error instanceof RoomError && error.status && peer === this._peer) void this._reconnect();
    }
  }

  /** There is a network again, or another one: no pause is waited for any more. */
  _tryNow() {
    if (this.state === "reconnecting") this._hurry?.();
    // Long before the browser sees that nothing comes any more.
    else if (this.state === "connected" && this._peer) void this._mend(this._peer);
  }

  /** Come back as the same participant, until it works, the room is over, or a minute with a network has passed. */
  async _reconnect() {
    this._keep();
    if (this.state !== "connected") return;
    this._quality.stop(); // before: that the connection is good again takes the notice away
    this._become("reconnecting");
    const started = performance.now();
    let online = started;
    for (let attempt = 0; this.state === "reconnecting"; attempt += 1) {
      await this._pause(RETRY_DELAYS_MS[Math.min(attempt, RETRY_DELAYS_MS.length - 1)]);
      if (this.state !== "reconnecting") return;
      try {
        await this._connect();
        return;
      } catch (error) {
        if (this.state !== "reconnecting") return;
        const now = performance.now();
        // A server that is started again takes as long as it takes; so does a network.
        if (navigator.onLine === false || error.code === "unreachable") online = now;
        if (error instanceof RoomError && !error.retry) {
          await this._finishRefused(error);
        } else if (now - online > GIVE_UP_AFTER_MS || now - started > OFFLINE_GIVE_UP_AFTER_MS) {
          this._finish("failed", new RoomError("lost", "The connection was lost.", { retry: true, cause: error }));
        }
      }
    }
  }

  /** One may not come back. Over while one was away, it is told why. */
  async _finishRefused(error) {
    const over = error.code === "ended" || error.code === "not-found";
    if (error.code === "ended") {
      const facts = await this._address.config().catch(() => null);
      this._shutdown ||= facts?.shutdown_reason ?? "";
    }
    this._finish(over ? "ended" : "failed", error);
  }

  _pause(ms) {
    return new Promise((resolve) => {
      this._hurry = resolve;
      setTimeout(resolve, ms);
    });
  }

  _sayGoodbye() {
    const id = this.participantId || (this._peer && this._chosenId);
    if (id) this._address.leave(id);
  }

  _isOver() {
    return this.state === "left" || this.state === "ended" || this.state === "failed";
  }

  _finish(state, error = null) {
    if (this._isOver()) return;
    clearTimeout(this._dropTimer);
    this._quality.stop();
    removeEventListener("online", this._onOnline);
    removeEventListener("pagehide", this._onPageHide);
    const peer = this._peer;
    this._peer = null;
    peer?.close();
    for (const track of Object.values(this.local)) track?.stop();
    this.local = { audio: null, camera: null, screen: null };
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    this.error = error;
    this._become(state);
    this._hurry?.();
    this._emit("left", { reason: this._shutdown || state, error });
  }

  _become(state) {
    const previous = this.state;
    if (previous === state) return;
    this.state = state;
    this._emit("statechange", { state, previous, reason: this._shutdown, error: this.error });
  }

  _emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function newParticipantId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `u${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function opened(choice, open) {
  if (!choice) return null;
  if (choice instanceof MediaStreamTrack) return choice;
  return open(choice === true ? "" : choice);
}

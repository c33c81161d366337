/** The screen before joining: a look in the mirror, a word into the microphone, a name. */

import { canChooseSpeaker, listDevices, openCamera, openDevices, openMicrophone, rememberDevices,
  rememberedDevices } from "../devices.js";
import { LevelMeter } from "../level.js";
import { h, icon } from "./dom.js";
import { deviceField, deviceProblems, levelBar } from "./fields.js";

const HEARD_LEVEL = 0.45;
/** How long somebody who pressed Join may look at the browser's question before they join without. */
const QUESTION_MS = 10_000;

export class PreJoin {
  /**
   * @param {{say: Function, name: string, audioOnly: boolean, recording: boolean, participant: string,
   *          logo: string, onJoin: (choice: object) => void}} options
   *   `name` the persona's; `participant` the person's own, where it is known.
   *   `onJoin` gets {audio, video, muted, name, speakerId}; the tracks are then the caller's.
   */
  constructor({ say, name, audioOnly, recording, participant, logo, onJoin }) {
    this._say = say;
    this._audioOnly = audioOnly;
    this._onJoin = onJoin;
    this._chosen = rememberedDevices();
    this._audio = null;
    this._camera = null;
    this._muted = false;
    this._meter = null;
    this._closed = false;
    this._build({ name, recording, participant, logo });
    this._opening = this._open();
  }

  close() {
    this._closed = true;
    this._meter?.close();
    this._meter = null;
    this._audio?.stop();
    this._camera?.stop();
    navigator.mediaDevices?.removeEventListener("devicechange", this._relist);
  }

  _build({ name, recording, participant, logo }) {
    const say = this._say;
    this._mirror = h("video", { class: "mirror", autoplay: true, muted: true, playsinline: "", "aria-label": say("selfView") });
    this._blank = h("div", { class: "blank" }, icon(this._audioOnly ? "microphone" : "person"), h("p", {}, say("asking")));
    this._micButton = h("button", { type: "button", class: "round", onclick: () => this._toggleMic() });
    this._camButton = h("button", { type: "button", class: "round", onclick: () => this._toggleCamera() });
    this._level = levelBar(say);
    this._hint = h("p", { class: "hint", role: "status" }, say("speakNow"));
    this._levelRow = h("div", { class: "level-row" }, this._level.element, this._hint);
    this._problems = h("div", { class: "problems", role: "alert" });
    this._fields = h("div", { class: "fields" });
    this._name = h("input", { type: "text", maxLength: 60, autocomplete: "name", value: participant, name: "participant" });
    this._joinButton = h("button", { type: "submit", class: "primary" }, say("join"));
    this.heading = h("h1", { tabIndex: -1 }, say("prejoinTitle", { name }));
    const preview = h("div", { class: this._audioOnly ? "preview audio-only" : "preview" },
      this._audioOnly ? null : this._mirror, this._blank,
      h("div", { class: "preview-controls" }, this._micButton, this._audioOnly ? null : this._camButton));
    const form = h("form", { class: "prejoin-form", onsubmit: (event) => this._submit(event) },
      logo ? h("img", { class: "logo", src: logo, alt: "" }) : null,
      this.heading,
      h("p", { class: "lead" }, say(this._audioOnly ? "prejoinLeadAudio" : "prejoinLead")),
      recording ? h("p", { class: "recorded" }, say("recorded")) : null,
      h("label", { class: "field" },
        h("span", { class: "field-name" }, say("yourName"), h("small", {}, say("optional"))), this._name),
      this._fields,
      this._levelRow,
      this._problems,
      this._joinButton);
    this.element = h("main", { class: "prejoin" }, preview, form);
    this._relist = () => void this._list();
    navigator.mediaDevices?.addEventListener("devicechange", this._relist);
    this._show();
  }

  async _open() {
    const { microphone: microphoneId, camera: cameraId } = this._chosen;
    const opened = await openDevices({ audio: true, camera: !this._audioOnly, microphoneId, cameraId });
    if (this._closed) {
      opened.audio?.stop();
      opened.camera?.stop();
      return;
    }
    this._audio = opened.audio;
    this._camera = opened.camera;
    this._measure();
    this._tell(opened.problems);
    await this._list();
    this._show();
  }

  async _list() {
    const found = await listDevices();
    const say = this._say;
    const inUse = (track) => track?.getSettings().deviceId;
    const fields = [
      deviceField(say, "microphone", found.microphones, inUse(this._audio), (id) => this._choose("microphone", id)),
    ];
    if (!this._audioOnly) {
      fields.push(deviceField(say, "camera", found.cameras, inUse(this._camera), (id) => this._choose("camera", id)));
    }
    if (canChooseSpeaker() && found.speakers.length > 1) {
      fields.push(deviceField(say, "speaker", found.speakers, this._chosen.speaker, (id) => this._choose("speaker", id)));
    }
    this._fields.replaceChildren(...fields);
  }

  async _choose(kind, id) {
    this._chosen[kind] = id;
    rememberDevices({ [kind]: id });
    if (kind === "microphone") await this._replaceMic(id);
    if (kind === "camera" && this._camera) await this._replaceCamera(id);
    this._show();
  }

  async _replaceMic(id) {
    this._audio?.stop();
    this._audio = await this._try(() => openMicrophone(id));
    if (this._audio) this._audio.enabled = !this._muted;
    this._measure();
  }

  async _replaceCamera(id) {
    this._camera?.stop();
    this._camera = await this._try(() => openCamera(id));
  }

  async _toggleMic() {
    if (!this._audio) {
      this._muted = false;
      await this._replaceMic(this._chosen.microphone);
      await this._list();
    } else {
      this._muted = !this._muted;
      this._audio.enabled = !this._muted;
    }
    this._show();
  }

  async _toggleCamera() {
    if (this._camera) {
      this._camera.stop();
      this._camera = null;
    } else {
      await this._replaceCamera(this._chosen.camera);
      await this._list();
    }
    this._show();
  }

  async _try(opening) {
    try {
      const track = await opening();
      this._tell([]);
      return track;
    } catch (problem) {
      this._tell([problem]);
      return null;
    }
  }

  _measure() {
    this._meter?.close();
    this._meter = null;
    if (!this._audio) return this._level.set(0);
    this._meter = new LevelMeter(this._audio, (level) => {
      this._level.set(level);
      if (level > HEARD_LEVEL) this._hint.textContent = this._say("heard");
    });
  }

  _tell(problems) {
    this._problems.replaceChildren(
      ...deviceProblems(this._say, problems).map((sentence) => h("p", {}, sentence)),
      ...(problems.length ? [h("button", { type: "button", class: "plain", onclick: () => this._again() }, this._say("tryAgain"))] : []),
    );
  }

  _again() {
    this._audio?.stop();
    this._camera?.stop();
    this._opening = this._open();
  }

  _show() {
    const say = this._say;
    const on = this._audio !== null && !this._muted;
    press(this._micButton, on, "microphone", say(on ? "muteOn" : "muteOff"));
    press(this._camButton, this._camera !== null, "camera", say(this._camera ? "cameraTurnOff" : "cameraTurnOn"));
    this._mirror.srcObject = this._camera ? new MediaStream([this._camera]) : null;
    this._mirror.hidden = !this._camera;
    this._blank.hidden = this._camera !== null;
    if (this._fields.childElementCount) this._blank.lastChild.textContent = this._audioOnly ? "" : say("cameraOff");
    const nothing = !this._audio && !this._camera && this._problems.childElementCount > 0;
    // What cannot be used would only push the button that goes on out of sight.
    this._fields.hidden = nothing;
    this._levelRow.hidden = !this._audio;
    this._joinButton.textContent = say(nothing ? "joinWithout" : "join");
  }

  async _submit(event) {
    event.preventDefault();
    if (this._joinButton.disabled) return;
    this._joinButton.disabled = true;
    this._joinButton.textContent = this._say("joining");
    // Whoever is quicker than their devices still wants to be seen and heard.
    await Promise.race([this._opening, new Promise((resolve) => setTimeout(resolve, QUESTION_MS))]);
    if (this._closed) return;
    const choice = { audio: this._audio ?? false, video: this._camera ?? false, muted: this._muted,
      name: this._name.value.trim(), speakerId: this._chosen.speaker ?? "" };
    this._audio = null;
    this._camera = null;
    this.close();
    this._onJoin(choice);
  }
}

function press(button, on, name, label) {
  button.replaceChildren(icon(on ? name : `${name}-off`));
  button.classList.toggle("off", !on);
  button.setAttribute("aria-label", label);
  button.title = label;
}

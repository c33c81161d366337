/** What is left of a conversation that has ended: transcript, recording, and where its record is. */

import { h } from "../js/view/dom.js";

const TRIES = 8;
const PAUSE_MS = 1_000;

/** Fill `place` with links once the server has stored the end; `name` is the persona's. */
export async function showAfterwards(place, api, id, name) {
  place.replaceChildren(h("p", { class: "hint" }, "Writing the transcript …"));
  let found = null;
  for (let tried = 0; tried < TRIES && !found; tried += 1) {
    const about = await api.conversation(id).catch(() => null);
    if (about?.status === "ended") found = about;
    else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  const events = found?.events ?? [];
  const lines = events.find((one) => one.event_type === "application.transcription_ready")?.properties?.transcript ?? [];
  const film = events.find((one) => one.event_type === "application.recording_ready")?.properties;
  const text = lines.map((line) => `${line.role === "user" ? "You" : name}: ${line.content}\n`).join("");
  place.replaceChildren(
    h("h3", {}, "Afterwards"),
    h("ul", { class: "links" },
      h("li", {}, lines.length ? link("Transcript", () => save(new Blob([text], { type: "text/plain" }), `${id}.txt`)) : "Nothing was said.",
        lines.length ? h("small", {}, `${lines.length} ${lines.length === 1 ? "line" : "lines"}`) : null),
      film ? h("li", {}, link("Recording", async () => save(await api.film(id), `${id}.mp4`)), h("small", {}, `${film.duration} s`)) : null,
      found ? h("li", {}, link("Full record", () => save(new Blob([JSON.stringify(found, null, 2)], { type: "application/json" }), `${id}.json`))) : null,
      h("li", {}, h("a", { href: "docs", target: "_blank", rel: "noopener" }, "How programs use this server"))),
    lines.length ? h("ol", { class: "transcript" }, lines.map((line) => h("li", { class: line.role }, h("b", {}, line.role === "user" ? "You" : name), h("span", {}, line.content)))) : "");
}

function link(text, onclick) {
  return h("button", { type: "button", class: "link", onclick }, text);
}

function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

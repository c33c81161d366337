/** The playground: find a persona and a face, make or change a persona, have a conversation, follow it. */

import "../js/element.js";
import { h } from "../js/view/dom.js";
import { showAfterwards } from "./afterwards.js";
import { Api } from "./api.js";
import { Documents } from "./documents.js";
import { Happenings } from "./happenings.js";
import { PersonaEditor } from "./persona_editor.js";

const LEFT_TIMEOUT_S = 30;
/** From this many faces on there is a field to find one. */
const FACES_TO_FIND = 9;
const OVER = new Set(["ended", "left", "failed"]);

const part = (id) => document.getElementById(id);
const api = new Api();
const happenings = new Happenings({ rows: part("events"), cards: part("cards") });
const editor = new PersonaEditor({ api, faces: () => faces.map((one) => ({ id: one.replica_id, name: one.replica_name })), onSaved: (id) => void load(id) });
const documents = new Documents({ api, list: part("documents"), address: part("document-url"), add: part("add-document"), tell });
let personas = [];
let faces = [];
let current = null;

/** Show what there is. `choose`: the id of the persona to choose; undefined for the usual one. */
async function load(choose = undefined) {
  try {
    const [people, all, usual] = await Promise.all([api.personas(), api.replicas(), api.usual()]);
    const wanted = choose ?? new URLSearchParams(location.search).get("persona") ?? usual?.persona_id;
    const first = people.find((one) => one.persona_id === wanted) ?? people[0];
    personas = [...(first ? [first] : []), ...people.filter((one) => one !== first)];
    faces = all.filter((one) => one.status === "completed");
    offer("personas", "persona", personas.map((one) => persona(one, one === first)));
    offer("replicas", "replica", faces.map(face));
    part("find-face").hidden = faces.length < FACES_TO_FIND;
    follow();
    filter();
    tell("");
    await documents.load().catch((error) => tell(error.message));
  } catch (error) {
    tell(error.status === 401 ? "This server asks for an API key." : error.message);
    part("key-field").hidden = error.status !== 401 && !api.key;
    for (const id of ["personas", "replicas"]) part(id).replaceChildren();
    if (error.status === 401) part("key").focus();
  }
}

function offer(id, kind, choices) {
  const place = part(id);
  place.setAttribute("aria-busy", "false");
  place.replaceChildren(...(choices.length ? choices : [h("small", {}, `There is no ${kind === "persona" ? "persona" : "face"} here yet.`)]));
}

function persona(one, checked) {
  const own = one.persona_type === "user";
  return h("div", { class: "choice", "data-id": one.persona_id },
    h("label", {},
      h("input", { type: "radio", name: "persona", value: one.persona_id, checked, onchange: follow, "aria-label": one.persona_name }),
      h("span", {}, h("b", {}, one.persona_name), h("small", {}, firstSentences(one.system_prompt)), h("code", {}, one.persona_id))),
    h("button", { type: "button", class: "edit", title: own ? "Edit" : "Copy and edit", "aria-label": `${own ? "Edit" : "Copy"} ${one.persona_name}`,
      onclick: () => void editor.open(one).catch((error) => tell(error.message)) }, own ? "Edit" : "Copy"));
}

function face(one) {
  return h("label", { class: "face-choice", title: one.replica_name, "data-id": one.replica_id },
    h("input", { type: "radio", name: "replica", value: one.replica_id, "aria-label": one.replica_name, onchange: showChosen }),
    picture(one), h("b", { "aria-hidden": "true" }, one.replica_name));
}

function picture(one) {
  const initial = h("i", { "aria-hidden": "true" }, [...one.replica_name][0].toUpperCase());
  const address = one.thumbnail_image_url;
  // The first time a picture is asked for it is drawn, which takes a moment.
  if (address) {
    const image = h("img", { alt: "", onload: () => initial.replaceWith(image) });
    image.src = address;
  }
  return initial;
}

/** The persona's own face is chosen with it; another may be chosen after. */
function follow() {
  const own = chosenPersona()?.default_replica_id;
  const radios = [...document.querySelectorAll("input[name=replica]")];
  const radio = radios.find((one) => one.value === own) ?? radios[0];
  if (radio) radio.checked = true;
  showChosen();
}

/** Whom one will talk with, large, while nobody is here. */
function showChosen() {
  const who = chosenPersona();
  const chosenFace = faces.find((one) => one.replica_id === chosen("replica").replica_id);
  if (!who) return part("nobody").replaceChildren();
  part("nobody").replaceChildren(
    ...(chosenFace ? [h("div", { class: "portrait" }, picture(chosenFace))] : []),
    h("h2", {}, who.persona_name),
    h("p", { class: "prompt" }, firstSentences(who.system_prompt, 220)),
    h("dl", { class: "ids" }, h("dt", {}, "Persona"), h("dd", {}, h("code", {}, who.persona_id)),
      ...(chosenFace ? [h("dt", {}, `Face: ${chosenFace.replica_name}`), h("dd", {}, h("code", {}, chosenFace.replica_id))] : [])));
}

/** Hide what is not looked for; what is chosen stays chosen. */
function filter() {
  const words = part("find-persona").value.toLowerCase().split(/\s+/).filter(Boolean);
  const whose = part("whose").value;
  let shown = 0;
  for (const row of document.querySelectorAll("#personas .choice")) {
    const one = personas.find((each) => each.persona_id === row.dataset.id);
    const text = `${one.persona_name} ${one.system_prompt ?? ""} ${one.persona_id}`.toLowerCase();
    row.hidden = !(words.every((word) => text.includes(word)) && (!whose || one.persona_type === whose));
    shown += row.hidden ? 0 : 1;
  }
  part("personas").dataset.none = shown ? "" : "Nobody is called like that.";
  const wanted = part("find-face").value.toLowerCase().trim();
  for (const row of document.querySelectorAll("#replicas .face-choice")) {
    const one = faces.find((each) => each.replica_id === row.dataset.id);
    row.hidden = !`${one.replica_name} ${one.replica_id}`.toLowerCase().includes(wanted);
  }
}

function chosen(kind) {
  const value = document.querySelector(`input[name=${kind}]:checked`)?.value;
  return value ? { [`${kind}_id`]: value } : {};
}

function chosenPersona() {
  return personas.find((one) => one.persona_id === chosen("persona").persona_id);
}

function request() {
  const greeting = part("greeting").value.trim();
  const context = part("context").value.trim();
  return {
    ...chosen("persona"),
    ...chosen("replica"),
    ...(greeting && { custom_greeting: greeting }),
    ...(context && { conversational_context: context }),
    ...(documents.chosen.length && { document_ids: documents.chosen }),
    ...(part("audio-only").checked && { audio_only: true }),
    // So that a page loaded anew finds its conversation still there.
    properties: { participant_left_timeout: LEFT_TIMEOUT_S, ...(part("record").checked && { enable_recording: true }) },
  };
}

async function start() {
  const button = part("start");
  button.disabled = true;
  tell("");
  try {
    if (current) await finish();
    const who = chosenPersona();
    const conversation = await api.create(request());
    open(conversation, await withGoals(who));
  } catch (error) {
    tell(error.message);
    part("key-field").hidden = error.status !== 401 && !api.key;
  } finally {
    button.disabled = false;
  }
}

/** The persona with the goals that it only names by their id. */
async function withGoals(who) {
  if (!who?.objectives_id) return who;
  const set = await api.objectives(who.objectives_id).catch(() => null);
  return { ...who, objectives: [...(who.objectives ?? []), ...(set?.data ?? [])] };
}

function open(conversation, who) {
  current = conversation;
  const element = h("cvi-conversation");
  element.setAttribute("url", conversation.conversation_url);
  element.addEventListener("app-message", ({ detail }) => happenings.read(detail));
  element.addEventListener("statechange", ({ detail }) => {
    happenings.state(detail.state);
    if (OVER.has(detail.state)) over(conversation, who, detail.state);
  });
  part("place").replaceChildren(element);
  part("link").textContent = conversation.conversation_url;
  const server = new URL(".", document.baseURI).href;
  part("embed").textContent =
    `<script type="module" src="${server}embed.js"></script>\n<cvi-conversation url="${conversation.conversation_url}"></cvi-conversation>`;
  part("conversation-id").textContent = conversation.conversation_id;
  part("afterwards").hidden = true;
  part("end").hidden = false;
  happenings.begin(who);
  part("about").hidden = false;
  document.body.classList.add("talking");
}

/** What is left of it, beside it. After "left" it may go on for a while, until it ends. */
function over(conversation, who, state) {
  part("end").hidden = state === "ended";
  if (state !== "ended") return;
  part("afterwards").hidden = false;
  void showAfterwards(part("afterwards"), api, conversation.conversation_id, who?.persona_name?.split(",")[0] ?? "Persona");
}

/** End the conversation on the server; the element sees it and says so. */
async function finish() {
  const { conversation_id: id } = current;
  current = null;
  await api.end(id);
}

function tell(problem) {
  part("problem").textContent = problem;
  part("problem").hidden = !problem;
}

function firstSentences(text = "", most = 160) {
  return (text ?? "").replace(/\s+/g, " ").trim().slice(0, most);
}

part("choose").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!personas.length) void load();
  else void start();
});
part("key").addEventListener("change", () => {
  api.key = part("key").value.trim();
  void load();
});
for (const id of ["find-persona", "find-face"]) {
  part(id).addEventListener("input", filter);
  // Enter looks; it does not start a conversation.
  part(id).addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
}
part("whose").addEventListener("change", filter);
part("new-persona").addEventListener("click", () => void editor.open().catch((error) => tell(error.message)));
part("end").addEventListener("click", async () => {
  if (!current) return;
  const ended = current;
  const who = chosenPersona();
  await finish().catch((error) => tell(error.message));
  over(ended, who, "ended");
});
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(part(button.dataset.copies).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}

void load();

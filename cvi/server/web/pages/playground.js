/** The playground: choose a persona and a face, create a conversation, have it, see its events. */

import "../js/element.js";
import { h } from "../js/view/dom.js";
import { Api } from "./api.js";

const MOST_EVENTS = 300;
const LEFT_TIMEOUT_S = 30;

const part = (id) => document.getElementById(id);
const api = new Api();
let personas = [];
let current = null;

async function load() {
  try {
    const [people, faces, usual] = await Promise.all([api.personas(), api.replicas(), api.usual()]);
    const wanted = new URLSearchParams(location.search).get("persona") ?? usual?.persona_id;
    const first = people.find((one) => one.persona_id === wanted) ?? people[0];
    personas = [...(first ? [first] : []), ...people.filter((one) => one !== first)];
    offer("personas", "persona", personas.map((one) => persona(one, one === first)));
    offer("replicas", "replica", faces.filter((one) => one.status === "completed").map(face));
    followPersona();
    tell("");
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
  place.replaceChildren(...(choices.length ? choices : [h("small", {}, `There is no ${kind} here yet.`)]));
}

function persona(one, checked) {
  return h("label", { class: "choice" },
    h("input", { type: "radio", name: "persona", value: one.persona_id, checked, onchange: followPersona }),
    h("span", {}, h("b", {}, one.persona_name), h("small", {}, firstSentences(one.system_prompt))));
}

function face(one) {
  const initial = h("i", { "aria-hidden": "true" }, [...one.replica_name][0].toUpperCase());
  const address = one.thumbnail_image_url;
  const picture = address ? h("img", { src: address, alt: "", loading: "lazy", onerror: () => picture.replaceWith(initial) }) : initial;
  return h("label", { class: "choice" }, h("input", { type: "radio", name: "replica", value: one.replica_id }),
    h("span", {}, picture, h("b", {}, one.replica_name)));
}

/** The persona's own face is chosen with it; another may be chosen after. */
function followPersona() {
  const { persona_id: id } = chosen("persona");
  const own = personas.find((one) => one.persona_id === id)?.default_replica_id;
  const faces = [...document.querySelectorAll("input[name=replica]")];
  const radio = faces.find((one) => one.value === own) ?? faces[0];
  if (radio) radio.checked = true;
}

function chosen(kind) {
  const value = document.querySelector(`input[name=${kind}]:checked`)?.value;
  return value ? { [`${kind}_id`]: value } : {};
}

function request() {
  const greeting = part("greeting").value.trim();
  const context = part("context").value.trim();
  return {
    ...chosen("persona"),
    ...chosen("replica"),
    ...(greeting && { custom_greeting: greeting }),
    ...(context && { conversational_context: context }),
    ...(part("audio-only").checked && { audio_only: true }),
    // So that a page loaded anew finds its conversation still there.
    properties: { participant_left_timeout: LEFT_TIMEOUT_S },
  };
}

async function start() {
  const button = part("start");
  button.disabled = true;
  tell("");
  try {
    if (current) await finish();
    open(await api.create(request()));
  } catch (error) {
    tell(error.message);
    part("key-field").hidden = error.status !== 401 && !api.key;
  } finally {
    button.disabled = false;
  }
}

function open(conversation) {
  current = conversation;
  const element = h("cvi-conversation");
  element.setAttribute("url", conversation.conversation_url);
  element.addEventListener("app-message", ({ detail }) => log(detail.event_type, detail));
  element.addEventListener("statechange", ({ detail }) => log(`· ${detail.state}`, detail));
  part("place").replaceChildren(element);
  part("link").textContent = conversation.conversation_url;
  const server = new URL(".", document.baseURI).href;
  part("embed").textContent =
    `<script type="module" src="${server}embed.js"></script>\n<cvi-conversation url="${conversation.conversation_url}"></cvi-conversation>`;
  part("events").replaceChildren();
  part("about").hidden = false;
  document.body.classList.add("talking");
}

/** End the conversation on the server; the element sees it and says so. */
async function finish() {
  const { conversation_id: id } = current;
  current = null;
  await api.end(id);
}

function log(title, event) {
  const time = h("time", {}, new Date().toLocaleTimeString([], { hour12: false }));
  const row = h("li", {}, h("details", {}, h("summary", {}, time, title), h("pre", {}, JSON.stringify(event, null, 1))));
  const list = part("events");
  list.prepend(row);
  while (list.childElementCount > MOST_EVENTS) list.lastChild.remove();
}

function tell(problem) {
  part("problem").textContent = problem;
  part("problem").hidden = !problem;
}

function firstSentences(text = "") {
  return text.replace(/\s+/g, " ").trim().slice(0, 160);
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
part("end").addEventListener("click", async () => {
  if (!current) return;
  await finish().catch((error) => tell(error.message));
});
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(part(button.dataset.copies).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}

void load();

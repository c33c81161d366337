/**
 * The room page: the element on a page of its own, dressed by the address's parameters.
 *
 * `docs/embed.md` lists the parameters; `t` is the access token.
 */

import "../js/element.js";

const ATTRIBUTES = ["theme", "accent", "logo", "lang", "captions", "controls", "name", "persona-name"];
const FLAGS = ["autojoin", "audio-only"];
const COLOURS = { background: "--cvi-background", surface: "--cvi-surface", text: "--cvi-text", danger: "--cvi-danger" };

const given = new URLSearchParams(location.search);
const element = document.createElement("cvi-conversation");
element.setAttribute("page", "");
for (const name of ATTRIBUTES) {
  const value = given.get(name) ?? given.get(name.replace("-", "_"));
  if (value) element.setAttribute(name, value);
}
for (const name of FLAGS) {
  const value = given.get(name) ?? given.get(name.replace("-", "_"));
  if (value !== null && value !== "0" && value !== "false") element.setAttribute(name, "");
}
for (const [name, variable] of Object.entries(COLOURS)) {
  const value = given.get(name);
  if (value && CSS.supports("color", value)) element.style.setProperty(variable, value);
}
const radius = given.get("radius");
if (radius && CSS.supports("border-radius", radius)) element.style.setProperty("--cvi-radius", radius);

const title = given.get("title");
element.addEventListener("statechange", () => {
  const { facts } = element.conversation ?? {};
  const brand = facts?.brand?.name ? ` · ${facts.brand.name}` : "";
  document.title = title || (facts?.persona_name ? facts.persona_name + brand : document.title);
});
if (title) document.title = title;
element.setAttribute("url", location.origin + location.pathname + (given.has("t") ? `?t=${encodeURIComponent(given.get("t"))}` : ""));
document.body.append(element);

/**
 * A form made from a JSON Schema: one field a property, sections for objects, rows for lists.
 *
 * The document that it is given is never changed; `value` is the edited copy, and what was not touched stays in it
 * as it was.
 */

import { h } from "../js/view/dom.js";

/** What people call the fields that everybody fills in; the others are called by their names. */
const LABELS = {
  persona_name: "Name",
  system_prompt: "Who it is and how it behaves",
  context: "What it knows",
  greeting: "First words",
  default_replica_id: "Face",
  language: "Language",
  objectives: "Goals",
  objective_name: "Short name",
  objective_prompt: "What to achieve",
  output_variables: "What to take down",
  guardrails: "Rules",
  guardrail_name: "Short name",
  guardrail_prompt: "The rule",
  conversational_flow: "Taking turns",
  turn_taking_patience: "Patience",
  replica_interruptibility: "Gives way",
  stt: "Hearing",
  llm: "Language model",
  tts: "Voice",
  perception: "Seeing",
  knowledge: "Knowledge",
  memory: "Memory",
  recording: "Recording",
  examples: "Examples of answers",
};
const LONG = new Set(["system_prompt", "context", "objective_prompt", "guardrail_prompt", "description"]);
const FIRST = ["persona_name", "system_prompt", "greeting", "context", "default_replica_id", "language"];
const SECTIONS = ["objectives", "guardrails", "layers.conversational_flow", "layers.tts", "layers.llm", "layers.stt",
  "layers.perception", "knowledge", "memory", "recording", "examples", "tools"];

export class PersonaForm {
  /** @param {{schema: object, value: object, faces: {id: string, name: string}[], onChange: () => void}} options */
  constructor({ schema, value, faces, onChange }) {
    this._schema = schema;
    this._faces = faces;
    this._onChange = onChange;
    this._places = new Map();
    this.value = structuredClone(value);
    this.element = h("div", { class: "persona-form" },
      FIRST.map((name) => this._field(schema.properties[name], this.value, name, name)),
      SECTIONS.map((path) => this._section(path)));
  }

  /** Show findings beside their fields; those that no field is shown for are returned. */
  show(findings) {
    for (const { box, note } of this._places.values()) {
      note.replaceChildren();
      box.classList.remove("error", "warning");
    }
    return findings.filter((finding) => {
      let path = finding.field;
      while (path && !this._places.has(path)) path = path.slice(0, Math.max(0, path.lastIndexOf(".")));
      const place = this._places.get(path);
      if (!place) return true;
      place.box.classList.add(finding.severity);
      place.box.closest("details")?.setAttribute("open", "");
      place.note.append(h("span", { class: finding.severity }, sentence(finding)));
      return false;
    });
  }

  _section(path) {
    const names = path.split(".");
    let owner = this.value;
    let schema = this._schema;
    for (const name of names) schema = this._resolved(schema.properties?.[name] ?? {});
    for (const name of names.slice(0, -1)) owner = owner[name] ??= {};
    const name = names.at(-1);
    const filled = owner[name] !== undefined && JSON.stringify(owner[name]) !== "{}" && JSON.stringify(owner[name]) !== "[]";
    const inside = h("div", { class: "inside" });
    const element = h("details", { ontoggle: () => this._fill(inside, schema, owner, name, path) },
      h("summary", {}, label(name), filled ? h("small", {}, Array.isArray(owner[name]) ? owner[name].length : "set") : null),
      schema.description ? h("p", { class: "hint" }, plain(schema.description)) : null, inside);
    return element;
  }

  /** Sections are built when they are opened: there are many fields, and few are looked at. */
  _fill(inside, schema, owner, name, path) {
    if (inside.childElementCount) return;
    inside.append(...(schema.type === "array" ? [this._list(schema, owner, name, path)] : this._object(schema, owner, name, path)));
  }

  _object(schema, owner, name, path) {
    const value = owner[name] ?? {};
    const keep = () => (owner[name] = value);
    return Object.entries(schema.properties ?? {})
      .filter(([, about]) => !about.deprecated)
      .map(([key, about]) => this._field(about, value, key, `${path}.${key}`, keep));
  }

  _list(schema, owner, name, path) {
    const items = this._resolved(schema.items ?? {});
    const rows = h("div", { class: "rows" });
    const draw = () => {
      const list = owner[name] ?? [];
      rows.replaceChildren(...list.map((item, index) => h("fieldset", { class: "row" },
        h("button", { type: "button", class: "remove", "aria-label": `Remove ${index + 1}`, onclick: () => {
          owner[name] = list.filter((_, at) => at !== index);
          draw();
          this._onChange();
        } }, "Remove"),
        items.properties
          ? this._ordered(items).map(([key, about]) => this._field(about, item, key, `${path}.${index}.${key}`))
          : this._field(items, list, index, `${path}.${index}`))));
    };
    const add = h("button", { type: "button", class: "plain", onclick: () => {
      owner[name] = [...(owner[name] ?? []), items.properties ? {} : ""];
      draw();
      this._onChange();
    } }, `Add ${label(name).toLowerCase().replace(/s$/, "")}`);
    draw();
    return h("div", { class: "list" }, rows, add);
  }

  /** Of a list's items: what must be given, then the rest that has an effect. */
  _ordered(schema) {
    const needed = new Set(schema.required ?? []);
    const shown = Object.entries(schema.properties).filter(([, about]) => !about.deprecated);
    return shown.sort(([one], [other]) => Number(needed.has(other)) - Number(needed.has(one)));
  }

  _field(about, owner, key, path, keep = () => {}) {
    const schema = this._resolved(about);
    const set = (value) => {
      if (value === undefined) delete owner[key];
      else owner[key] = value;
      keep();
      this._onChange();
    };
    const input = this._input(schema, owner[key], key, set);
    const note = h("span", { class: "notes", role: "status" });
    const check = input.type === "checkbox";
    const box = h("label", { class: check ? "field tick" : "field" }, check ? [input, h("span", {}, label(key))] : [h("span", {}, label(key)), input],
      schema.description && !FIRST.slice(0, 3).includes(key) ? h("small", { class: "hint" }, plain(schema.description)) : null, note);
    input.dataset.path = path;
    this._places.set(path, { box, note });
    return box;
  }

  _input(schema, value, key, set) {
    const text = (event) => set(event.target.value === "" ? undefined : event.target.value);
    if (key === "default_replica_id") {
      return h("select", { onchange: text }, h("option", { value: "" }, "The usual one"),
        this._faces.map(({ id, name }) => h("option", { value: id, selected: id === value }, name)));
    }
    if (schema.enum) {
      return h("select", { onchange: text }, h("option", { value: "" }, schema.default === undefined ? "–" : `Usual (${schema.default})`),
        schema.enum.map((each) => h("option", { value: each, selected: each === value }, String(each))));
    }
    if (schema.type === "boolean") {
      return h("input", { type: "checkbox", checked: value ?? schema.default ?? false, onchange: ({ target }) => set(target.checked) });
    }
    if (schema.type === "number" || schema.type === "integer") {
      return h("input", { type: "number", step: schema.type === "integer" ? 1 : "any", value: value ?? "",
        placeholder: schema.default === undefined ? "" : String(schema.default),
        oninput: ({ target }) => set(target.value === "" ? undefined : Number(target.value)) });
    }
    if (schema.type === "array" && this._resolved(schema.items ?? {}).type === "string") {
      return h("textarea", { rows: 2, value: (value ?? []).join("\n"), placeholder: "one a line",
        oninput: ({ target }) => set(lines(target.value)) });
    }
    if (schema.type === "array" || schema.type === "object") {
      return h("textarea", { rows: 3, class: "code", spellcheck: false, value: value === undefined ? "" : JSON.stringify(value, null, 2),
        placeholder: "JSON", oninput: ({ target }) => set(parsed(target.value)) });
    }
    const long = LONG.has(key);
    return h(long ? "textarea" : "input", { ...(long ? { rows: key === "system_prompt" ? 7 : 3 } : { type: schema.format === "password" ? "password" : "text" }),
      value: value ?? "", autocomplete: "off", placeholder: typeof schema.default === "string" ? schema.default : "", oninput: text });
  }

  /** A schema without references and without "or null". */
  _resolved(schema) {
    if (schema.$ref) return { ...this._resolved(this._schema.$defs[schema.$ref.split("/").at(-1)]), ...without(schema, "$ref") };
    const kinds = schema.anyOf?.filter((one) => one.type !== "null");
    return kinds?.length ? { ...this._resolved(kinds[0]), ...without(schema, "anyOf") } : schema;
  }
}

/** The operations of a JSON Patch that make the one document of the other; members alone, lists as a whole. */
export function changes(before, after, at = "") {
  const found = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const path = `${at}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const [one, other] = [before[key], after[key]];
    if (JSON.stringify(one) === JSON.stringify(other)) continue;
    if (other === undefined) found.push({ op: "remove", path });
    else if (isObject(one) && isObject(other)) found.push(...changes(one, other, path));
    else found.push({ op: one === undefined ? "add" : "replace", path, value: other });
  }
  return found;
}

/** A copy without what is empty, so that an opened section leaves nothing behind. */
export function filled(value) {
  if (!isObject(value)) return value;
  const kept = Object.entries(value).map(([key, each]) => [key, filled(each)])
    .filter(([, each]) => each !== undefined && !(isObject(each) && Object.keys(each).length === 0));
  return Object.fromEntries(kept);
}

export function sentence({ message, remedy }) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return `${text}${/[.?!]$/.test(text) ? "" : "."} ${remedy}`.trim();
}

function label(key) {
  return LABELS[key] ?? String(key).replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
}

function plain(text) {
  return text.replaceAll("`", "");
}

function lines(text) {
  const found = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return found.length ? found : undefined;
}

/** What was typed as JSON, or the text itself, which the check then tells about. */
function parsed(text) {
  if (!text.trim()) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function without(schema, name) {
  const { [name]: _, ...rest } = schema;
  return rest;
}

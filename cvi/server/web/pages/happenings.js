/**
 * What happens in a conversation, for people to follow: a line for each event, and cards for what the persona does
 * beside talking (tools that it calls, goals that it reaches, rules that hold it back).
 */

import { h } from "../js/view/dom.js";

const MOST_ROWS = 300;
/** Sent every few seconds, or told by another event as well. */
const QUIET = /^system\.(replica|pal)_present$|\.started_speaking$|^conversation\.replica_interrupted$/;

/** One line for an event in plain words; "" for one that is not worth a line. */
export function told(event, name) {
  const { event_type: type = "", properties = {} } = event;
  const who = properties.role === "user" ? "You" : name;
  if (properties.role === "pal" || QUIET.test(type)) return "";
  if (type === "conversation.utterance") return `${who}: ${properties.speech ?? ""}`;
  if (type === "conversation.utterance.streaming") {
    return properties.final && properties.is_interrupted ? `${name} was interrupted at: ${properties.speech}` : "";
  }
  if (type.endsWith("stopped_speaking")) return "";
  if (type === "system.replica_joined") return `${name} is here`;
  if (type === "system.shutdown") return ""; // the page says so itself
  if (type === "system.error") return `Refused: ${properties.message}`;
  if (type === "system.notice") return properties.message ?? "";
  if (type === "conversation.perception_tool_call") return `${name} noticed something: ${words(properties.name)}`;
  if (isCall(type)) return `${name} uses "${words(properties.name)}"`;
  if (type === "conversation.tool.failed") return `"${words(properties.name)}" failed: ${properties.message ?? ""}`;
  if (isAnswer(type)) return `"${words(properties.name ?? "The tool")}" answered`;
  if (type === "application.human_requested") return `A person is asked for${properties.reason ? `: ${properties.reason}` : ""}`;
  if (type.includes(".objective.")) return `Goal "${words(properties.objective_name)}": ${STAGES[type.split(".").at(-1)] ?? type.split(".").at(-1)}`;
  if (type.includes("guardrail")) return `Rule held: ${words(properties.guardrail_name ?? "one of them")}`;
  if (type === "conversation.perception_analysis") return "What was seen and heard of you";
  // Of other events, as of later versions: their names without the punctuation.
  return type.replace(/^[a-z]+\./, "").replaceAll(/[._]/g, " ").replace(/^./, (letter) => letter.toUpperCase());
}

function isCall(type) {
  return type === "conversation.tool_call" || type === "conversation.tool.called";
}

function isAnswer(type) {
  return type === "conversation.tool_result" || type === "conversation.tool.resolved";
}

const STAGES = { activated: "now", pending: "now", completed: "done", failed: "not reached" };

export class Happenings {
  /** @param {{rows: HTMLElement, cards: HTMLElement}} places */
  constructor({ rows, cards }) {
    this._rows = rows;
    this._cards = cards;
  }

  /** Begin a conversation with a persona: its document, with objectives and guardrails where it has them. */
  begin(persona) {
    this._name = persona?.persona_name?.split(",")[0] ?? "The persona";
    this._goals = new Map((persona?.objectives ?? []).map((one) => [one.objective_name, { about: one.objective_prompt, stage: "", found: {} }]));
    this._rules = new Map((persona?.guardrails ?? []).map((one) => [one.guardrail_name, { about: one.guardrail_prompt, times: 0 }]));
    this._calls = new Map();
    this._rows.replaceChildren();
    this._draw();
  }

  /** What the page itself knows: that it is connected, that the connection was lost. */
  state(state) {
    this._row({ connecting: "Connecting", connected: "Connected", reconnecting: "Connection lost, trying again",
      ended: "The conversation has ended", left: "You left", failed: "It did not work" }[state] ?? state, { state });
  }

  read(event) {
    // A call that the client is to answer is told twice: as the contract has it, and as any call.
    const again = isCall(event.event_type) && this._calls.has(event.properties?.tool_call_id);
    const text = again ? "" : told(event, this._name);
    if (text) this._row(text, event);
    if (event.properties?.role === "pal") return;
    this._follow(event.event_type ?? "", event.properties ?? {});
  }

  _follow(type, properties) {
    if (isCall(type) || type === "conversation.perception_tool_call") {
      const id = properties.tool_call_id ?? `${properties.name}-${this._calls.size}`;
      const seen = type.includes("perception") ? "" : null; // nothing answers what was noticed
      this._calls.set(id, { name: properties.name ?? "tool", given: brief(properties.arguments), answer: seen, ok: true });
    } else if (isAnswer(type) || type === "conversation.tool.failed") {
      const call = this._calls.get(properties.tool_call_id);
      const ok = isAnswer(type) && properties.status !== "error";
      if (call) Object.assign(call, { answer: brief(properties.output ?? properties.message ?? ""), ok });
    } else if (type.includes(".objective.")) {
      const goal = this._goals.get(properties.objective_name) ?? { about: "", stage: "", found: {} };
      Object.assign(goal, { stage: type.split(".").at(-1), found: { ...goal.found, ...properties.output_variables } });
      this._goals.set(properties.objective_name, goal);
    } else if (type.includes("guardrail")) {
      const rule = this._rules.get(properties.guardrail_name) ?? { about: "", times: 0 };
      rule.times += 1;
      this._rules.set(properties.guardrail_name ?? "", rule);
    } else {
      return;
    }
    this._draw();
  }

  _draw() {
    const goals = [...this._goals].map(([name, { about, stage, found }]) =>
      h("li", { class: `goal ${stage}` }, h("i", { "aria-hidden": "true" }), h("span", {}, h("b", {}, words(name)),
        h("em", {}, STAGES[stage] ?? stage), about ? h("small", {}, about) : null,
        Object.keys(found).length ? h("dl", {}, Object.entries(found).flatMap(([key, value]) => [h("dt", {}, words(key)), h("dd", {}, brief(value))])) : null)));
    const calls = [...this._calls.values()].reverse().map(({ name, given, answer, ok }) =>
      h("li", { class: answer === null ? "call open" : ok ? "call" : "call failed" }, h("i", { "aria-hidden": "true" }),
        h("span", {}, h("b", {}, words(name)), h("em", {}, answer === null ? "waiting" : ok ? "answered" : "failed"),
          given ? h("small", {}, given) : null, answer ? h("small", { class: "answer" }, answer) : null)));
    const rules = [...this._rules].map(([name, { about, times }]) =>
      h("li", { class: times ? "rule fired" : "rule" }, h("i", { "aria-hidden": "true" }), h("span", {}, h("b", {}, words(name)),
        times ? h("em", {}, times > 1 ? `held ${times} times` : "held") : null, about ? h("small", {}, about) : null)));
    this._cards.replaceChildren(...[["Goals", goals], ["Tools", calls], ["Rules", rules]].filter(([, list]) => list.length)
      .map(([title, list]) => h("section", { class: "card", "aria-label": title }, h("h3", {}, title), h("ul", {}, list))));
  }

  _row(title, event) {
    const time = h("time", {}, new Date().toLocaleTimeString([], { hour12: false }));
    const row = h("li", {}, h("details", {}, h("summary", { title }, time, h("span", {}, title)),
      h("pre", { tabIndex: 0 }, JSON.stringify(event, null, 1))));
    this._rows.prepend(row);
    while (this._rows.childElementCount > MOST_ROWS) this._rows.lastChild.remove();
  }
}

function words(name) {
  return String(name ?? "").replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
}

/** A value on one line: the arguments of a call are JSON in a text. */
function brief(value) {
  let shown = value;
  if (typeof value === "string") {
    try {
      shown = JSON.parse(value);
    } catch {
      return value.slice(0, 200);
    }
  }
  if (shown === null || typeof shown !== "object") return String(shown ?? "").slice(0, 200);
  const text = Array.isArray(shown) ? JSON.stringify(shown)
    : Object.entries(shown).map(([key, each]) => `${words(key)}: ${typeof each === "object" ? JSON.stringify(each) : each}`).join(", ");
  return text.slice(0, 200);
}

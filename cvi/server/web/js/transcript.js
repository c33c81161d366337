/**
 * What was said, read from the events of a conversation.
 *
 * The persona's events come twice, with role `pal` and with role `replica`; everything here gives the
 * same result for one copy and for both.
 */

/** @returns {"persona" | "user" | ""} */
export function speakerOf(role) {
  if (role === "pal" || role === "replica") return "persona";
  return role === "user" ? "user" : "";
}

/** What the persona does after this event, given what it did before. */
export function activityAfter({ event_type: type = "", properties = {} }, before) {
  const persona = type.startsWith("conversation.replica.") || speakerOf(properties.role) === "persona";
  const started = type.endsWith(".started_speaking");
  if (!started && !type.endsWith(".stopped_speaking")) return before;
  if (persona) return started ? "speaking" : "listening";
  if (before === "speaking") return before;
  return started ? "listening" : "thinking";
}

export class Transcript {
  constructor() {
    /** The lines, oldest first; a line changes while it is spoken. See `Line` in client.d.ts. */
    this.lines = [];
    this._typed = [];
    this._streamed = new Set();
    this._intended = null;
    this._told = new Map();
  }

  /** Note what the participant typed; the server's own report of it will not become a second line. */
  typed(text) {
    this._typed.push(text);
    return this._add("user", text, { final: true, closed: true, typed: true });
  }

  /** Read one event. Returns the line that it made or changed, or null where nothing reads otherwise than before. */
  read(event) {
    const line = this._changed(event);
    if (!line) return null;
    const now = `${line.final} ${line.interrupted} ${line.text}`;
    if (this._told.get(line.id) === now) return null;
    this._told.set(line.id, now);
    return line;
  }

  _changed(event) {
    const { event_type: type, properties = {} } = event;
    const speaker = speakerOf(properties.role);
    const text = typeof properties.speech === "string" ? properties.speech.trim() : "";
    if (type === "conversation.utterance.streaming" && speaker) {
      return speaker === "user" ? this._hearing(text, properties) : this._saying(event, text, properties);
    }
    if (type === "conversation.utterance" && speaker && text) {
      if (speaker === "user") return this._heard(text);
      this._intended = { key: replyKey(event), text };
      return null;
    }
    if (type === "conversation.replica.stopped_speaking") return this._saidUnseen();
    return null;
  }

  /** All of it as text, for a person to keep. `names` has `persona` and `user`. */
  text(names) {
    return this.lines.map((line) => `${names[line.speaker]}: ${line.text}\n`).join("");
  }

  _hearing(text, { final }) {
    let line = this._last("user");
    if (!line || line.closed || line.final) {
      if (!text || this._typed.includes(text)) return null;
      line = this._add("user", text, {});
    }
    if (text) line.text = text;
    line.final = final === true;
    return line;
  }

  /** The participant's finished sentence: it closes the line that was being heard. */
  _heard(text) {
    const typed = this._typed.indexOf(text);
    if (typed >= 0) {
      this._typed.splice(typed, 1);
      return null;
    }
    const line = this._last("user");
    if (line && !line.closed) return Object.assign(line, { text, final: true, closed: true });
    return this._add("user", text, { final: true, closed: true });
  }

  _saying(event, text, { final, is_interrupted: interrupted }) {
    const key = replyKey(event);
    this._streamed.add(key);
    let line = this.lines.findLast((one) => one.speaker === "persona" && one.key === key);
    if (!line) {
      if (!text) return null;
      line = this._add("persona", text, { key });
    }
    if (text) line.text = text;
    line.final = final === true;
    line.interrupted ||= interrupted === true;
    return line;
  }

  /** A server that does not tell word by word what is heard told before what it would say. */
  _saidUnseen() {
    const intended = this._intended;
    this._intended = null;
    if (!intended || this._streamed.has(intended.key)) return null;
    this._streamed.add(intended.key);
    return this._add("persona", intended.text, { key: intended.key, final: true });
  }

  _last(speaker) {
    return this.lines.findLast((line) => line.speaker === speaker);
  }

  _add(speaker, text, more) {
    const line = {
      id: `line-${this.lines.length + 1}`,
      speaker,
      text,
      final: false,
      interrupted: false,
      closed: false,
      typed: false,
      ...more,
    };
    this.lines.push(line);
    return line;
  }
}

function replyKey(event) {
  return event.inference_id ?? `turn-${event.turn_idx ?? event.properties.speech}`;
}

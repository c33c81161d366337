/**
 * The three requests a participant makes: the room's facts, an offer, a farewell.
 *
 * A room's address is what `POST /v2/conversations` answered as `conversation_url`; its access token,
 * where there is one, stands in `?t=`.
 */

import { RoomError } from "./errors.js";

const ANSWER_TIMEOUT_MS = 20_000;

export class RoomAddress {
  /**
   * @param {string} url absolute, or relative to the page
   * @param {string} [token] instead of `?t=` in the address
   */
  constructor(url, token) {
    let parsed;
    try {
      parsed = new URL(url, globalThis.location?.href);
    } catch (cause) {
      throw new RoomError("bad-address", `'${url}' is no address of a room.`, { cause });
    }
    if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
      throw new RoomError("bad-address", `'${url}' is no address of a room: it must begin with https://.`);
    }
    this.token = token || parsed.searchParams.get("t") || "";
    this.base = parsed.origin + parsed.pathname.replace(/\/+$/, "");
  }

  /** The conversation's id: the last part of the address. */
  get id() {
    return this.base.slice(this.base.lastIndexOf("/") + 1);
  }

  /** What the page must know before it joins. Raises RoomError. */
  async config() {
    const query = this.token ? `?t=${encodeURIComponent(this.token)}` : "";
    return request(`${this.base}/config${query}`, { headers: { accept: "application/json" } });
  }

  /** Send an offer, return the answer `{sdp, participant_id}`. Raises RoomError. */
  async offer({ sdp, name, participantId, restart = false }) {
    const body = { sdp, participant_name: name };
    if (participantId) body.participant_id = participantId;
    if (restart) body.restart = true;
    if (this.token) body.token = this.token;
    return request(`${this.base}/offer`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /** Say goodbye in a way that outlives the page. */
  leave(participantId) {
    const body = JSON.stringify({ participant_id: participantId, token: this.token || undefined });
    // A string travels as text/plain, which needs no preflight and so may leave a dying page.
    if (navigator.sendBeacon?.(`${this.base}/leave`, body)) return;
    fetch(`${this.base}/leave`, { method: "POST", body, keepalive: true }).catch(() => {
      // The server notices the silence by itself.
    });
  }
}

/**
 * Why a room cannot be entered, as far as its facts tell; null when it can.
 *
 * @param {boolean} known one was in it before, and may come back however old the link is
 */
export function refusalOf({ state, require_auth: locked, persona_name: name, token_expired: expired }, known) {
  if (state === "ended" || state === "failed") return RoomError.fromStatus(410, "This conversation has ended.");
  // A private room tells a stranger nothing but that it is one.
  if (locked && name == null) return RoomError.fromStatus(401, "This conversation needs its whole link.");
  if (expired && !known) return RoomError.fromStatus(403, "This link has expired.");
  return null;
}

async function request(url, options) {
  let response;
  try {
    response = await fetch(url, {
      ...options,
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
  } catch (cause) {
    throw new RoomError("unreachable", "The server cannot be reached.", { retry: true, cause });
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) {
    throw RoomError.fromStatus(response.status, answer?.message ?? answer?.error);
  }
  if (answer === null || typeof answer !== "object") {
    throw new RoomError("server", "The server's answer cannot be read.", { status: response.status, retry: true });
  }
  return answer;
}

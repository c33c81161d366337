/** Whether the connection is good enough, from what the browser counts. */

const EVERY_MS = 2_000;
const WEAK_LOSS = 0.06;
const WEAK_ROUND_TRIP_MS = 500;
/** A packet of sound leaves the server every 20 ms, in silence too. */
const SOUND_PACKETS_PER_S = 50;
const BUSY_SHARE = 0.7;

/**
 * What two counts of `Peer.quality`, so many seconds apart, say of the connection.
 *
 * Packets that are lost, or late and yet all there, are the network's fault. Packets that never left are not: a
 * server without time for its conversation sends too few, loses none of them, and answers late as well.
 *
 * @returns {"good" | "weak" | "busy"}
 */
export function judged(before, now, seconds) {
  const received = now.received - before.received;
  const lost = now.lost - before.lost;
  if (lost / Math.max(1, received + lost) > WEAK_LOSS) return "weak";
  const sound = (now.sound - before.sound) / (seconds * SOUND_PACKETS_PER_S);
  if (before.sound > 0 && sound < BUSY_SHARE) return "busy";
  return (now.roundTripMs ?? 0) > WEAK_ROUND_TRIP_MS ? "weak" : "good";
}

export class QualityWatch {
  /** @param {(quality: "good" | "weak" | "busy") => void} onChange */
  constructor(onChange) {
    this._onChange = onChange;
    this._timer = 0;
    this.quality = "good";
  }

  /** @param {import("./peer.js").Peer} peer */
  watch(peer) {
    this.stop();
    let before = { received: 0, lost: 0, sound: 0 };
    let at = performance.now();
    let marks = 0;
    let worst = "good";
    this._timer = setInterval(async () => {
      const now = await peer.quality();
      const seconds = (performance.now() - at) / 1000;
      const quality = judged(before, now, Math.max(seconds, 0.001));
      before = now;
      at = performance.now();
      if (quality !== "good") worst = quality;
      // Two in a row, so that one bad moment does not show a warning, nor one good moment hide it.
      marks = Math.max(0, Math.min(3, marks + (quality === "good" ? -1 : 1)));
      this._set(marks >= 2 ? worst : marks === 0 ? "good" : this.quality);
    }, EVERY_MS);
  }

  stop() {
    clearInterval(this._timer);
    this._set("good");
  }

  _set(quality) {
    if (this.quality === quality) return;
    this.quality = quality;
    this._onChange(quality);
  }
}

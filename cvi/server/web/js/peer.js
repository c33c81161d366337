/**
 * One peer connection: microphone, camera and screen out, face and voice in, events both ways.
 *
 * A connection whose way was lost looks for another one; where there is none, a new Peer takes its place
 * (see client.js).
 */

const GATHERING_LIMIT_MS = 2_000;
const CHANNEL_LIMIT_MS = 10_000;
const CAMERA_BITS_PER_S = 400_000;
const SCREEN_BITS_PER_S = 1_500_000;

export class Peer {
  /**
   * @param {{iceServers: RTCIceServer[], iceTransportPolicy: RTCIceTransportPolicy}} ways
   * @param {{onTrack: (track: MediaStreamTrack) => void, onMessage: (text: string) => void,
   *          onState: (state: RTCPeerConnectionState | "channel-closed") => void}} handlers
   */
  constructor(ways, { onTrack, onMessage, onState }) {
    this._pc = new RTCPeerConnection({ ...ways, bundlePolicy: "max-bundle" });
    // The order is part of the contract: audio, camera and face, screen.
    this._audio = this._pc.addTransceiver("audio", { direction: "sendrecv" });
    this._camera = this._pc.addTransceiver("video", { direction: "sendrecv" });
    this._screen = this._pc.addTransceiver("video", { direction: "sendonly" });
    this._channel = this._pc.createDataChannel("cvi", { ordered: true });
    this._opened = new Promise((resolve) => {
      this._channel.onopen = () => resolve(true);
    });
    this._channel.onmessage = (message) => typeof message.data === "string" && onMessage(message.data);
    this._channel.onclose = () => this._closed || onState("channel-closed");
    this._pc.ontrack = (event) => onTrack(event.track);
    this._pc.onconnectionstatechange = () => this._closed || onState(this._pc.connectionState);
    this._closed = false;
  }

  /** The offer with all its candidates in it; `restart` offers new ways for the packets of a connection. */
  async offer({ restart = false } = {}) {
    const gathered = new Promise((resolve) => {
      this._pc.onicegatheringstatechange = () => this._pc.iceGatheringState === "complete" && resolve();
    });
    if (restart) this._pc.restartIce();
    await this._pc.setLocalDescription();
    // A STUN server that does not answer must not hold everything up.
    await Promise.race([gathered, after(GATHERING_LIMIT_MS)]);
    return this._pc.localDescription.sdp;
  }

  /** Take the answer to an offer that was a restart. */
  async mend(sdp) {
    await this._pc.setRemoteDescription({ type: "answer", sdp });
  }

  /** Take the answer and wait until messages can pass. Returns false where they cannot in time. */
  async accept(sdp) {
    await this._pc.setRemoteDescription({ type: "answer", sdp });
    await Promise.all([this._limit(this._camera, CAMERA_BITS_PER_S), this._limit(this._screen, SCREEN_BITS_PER_S)]);
    return Promise.race([this._opened, after(CHANNEL_LIMIT_MS).then(() => false)]);
  }

  /** Put a track into one of the three places; null takes it out. No new offer is needed. */
  async send(place, track) {
    const transceiver = { audio: this._audio, camera: this._camera, screen: this._screen }[place];
    await transceiver.sender.replaceTrack(track);
  }

  /** Send one event. Returns false while the channel is not open. */
  message(event) {
    if (this._channel.readyState !== "open") return false;
    this._channel.send(JSON.stringify(event));
    return true;
  }

  /** Round trip in ms, packets received and lost so far, those with sound among them, pictures a second; null
   * where not known yet. */
  async quality() {
    const facts = { roundTripMs: null, received: 0, lost: 0, sound: 0, framesPerSecond: null };
    for (const report of (await this._pc.getStats()).values()) {
      if (report.type === "candidate-pair" && report.nominated && report.currentRoundTripTime !== undefined) {
        facts.roundTripMs = report.currentRoundTripTime * 1000;
      } else if (report.type === "inbound-rtp") {
        facts.received += report.packetsReceived ?? 0;
        facts.lost += Math.max(0, report.packetsLost ?? 0);
        if (report.kind === "audio") facts.sound += report.packetsReceived ?? 0;
        if (report.kind === "video") facts.framesPerSecond = report.framesPerSecond ?? null;
      }
    }
    return facts;
  }

  close() {
    this._closed = true;
    this._channel.close();
    this._pc.close();
  }

  async _limit(transceiver, maxBitrate) {
    const parameters = transceiver.sender.getParameters();
    if (!parameters.encodings?.length) return;
    parameters.encodings[0].maxBitrate = maxBitrate;
    await transceiver.sender.setParameters(parameters).catch(() => {
      // Older browsers refuse; the server's own feedback limits them too.
    });
  }
}

function after(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export type State = "new" | "connecting" | "connected" | "reconnecting" | "ended" | "left" | "failed";
export type Activity = "listening" | "thinking" | "speaking";
/** `weak`: the network between; `busy`: the server sends too late what arrives whole. */
export type Quality = "good" | "weak" | "busy";

export type RoomErrorCode =
  | "bad-address"
  | "busy"
  | "ended"
  | "expired"
  | "full"
  | "lost"
  | "no-path"
  | "not-found"
  | "refused"
  | "server"
  | "unauthorized"
  | "unreachable";

/** A room that cannot be entered or kept. `status`: the HTTP status, 0 where there was none. */
export class RoomError extends Error {
  readonly code: RoomErrorCode;
  readonly status: number;
  /** Trying the same again may help. */
  readonly retry: boolean;
  constructor(code: RoomErrorCode, message: string, more?: { status?: number; retry?: boolean; cause?: unknown });
  static fromStatus(status: number, message?: string): RoomError;
}

export type DeviceErrorCode = "denied" | "missing" | "in-use" | "insecure" | "blocked" | "failed";

/** A camera, microphone or screen that cannot be had. */
export class DeviceError extends Error {
  readonly code: DeviceErrorCode;
  readonly device: "microphone" | "camera" | "screen" | "both";
  constructor(code: DeviceErrorCode, device: DeviceError["device"], cause?: unknown);
  static from(error: unknown, device: DeviceError["device"]): DeviceError;
}

/** What a room tells before one joins. */
export interface RoomFacts {
  conversation_id: string;
  conversation_name?: string;
  /** Absent for a private room whose token is missing or wrong. */
  persona_name?: string;
  state: "starting" | "ready" | "active" | "ended" | "failed" | string;
  audio_only?: boolean;
  chat?: boolean;
  require_auth: boolean;
  token_expired?: boolean;
  recording?: boolean;
  /** Whether captions are shown at first. */
  captions?: boolean;
  /** Why it ended. */
  shutdown_reason?: string | null;
  brand?: { name: string; logo: string; accent: string };
  language?: string;
  ice_servers?: RTCIceServer[];
  ice_transport_policy?: RTCIceTransportPolicy;
  [further: string]: unknown;
}

/** One line of what was said. It changes while it is spoken. */
export interface Line {
  readonly id: string;
  readonly speaker: "persona" | "user";
  text: string;
  /** Nothing more comes. */
  final: boolean;
  /** The persona was cut off; `text` is what was really heard. */
  interrupted: boolean;
  /** The participant wrote it. */
  readonly typed: boolean;
}

export class Transcript {
  readonly lines: Line[];
  text(names: { persona: string; user: string }): string;
}

/** An event of the Interactions Protocol. */
export interface AppMessage {
  event_type: string;
  message_type?: string;
  conversation_id?: string;
  seq?: number;
  turn_idx?: number;
  inference_id?: string;
  timestamp?: number;
  properties?: Record<string, unknown>;
}

/** What the participant sends; null where nothing is sent. */
export interface LocalTracks {
  audio: MediaStreamTrack | null;
  camera: MediaStreamTrack | null;
  screen: MediaStreamTrack | null;
}

/** true: the usual device; a string: the device with this id; false: none. */
export type DeviceChoice = boolean | string | MediaStreamTrack;

export interface JoinOptions {
  audio?: DeviceChoice;
  video?: DeviceChoice;
  /** Join with the microphone muted. */
  muted?: boolean;
  /** The participant's name. */
  name?: string;
}

export interface ConversationOptions {
  /** The access token, where it does not stand in the address. */
  token?: string;
  /** Come back as this participant of an earlier join. */
  participantId?: string;
}

export interface ConversationEvents {
  statechange: { state: State; previous: State; reason: string; error: Error | null };
  joined: { participantId: string };
  /** `reason`: the server's shutdown reason, or `left` or `failed`. */
  left: { reason: string; error: Error | null };
  track: { track: MediaStreamTrack; kind: "audio" | "video"; stream: MediaStream };
  "app-message": AppMessage;
  caption: Line;
  activity: { activity: Activity };
  quality: { quality: Quality };
  /** Before it is connected: what the room still loads, of "stt", "llm", "tts" and "face". */
  progress: { state: string; loading: string[] };
  localchange: { local: LocalTracks };
}

export class Conversation extends EventTarget {
  constructor(url: string, options?: ConversationOptions);
  readonly state: State;
  readonly error: Error | null;
  readonly conversationId: string;
  readonly participantId: string;
  readonly facts: RoomFacts | null;
  /** The persona's sound and picture: one stream for the whole conversation. */
  readonly stream: MediaStream;
  readonly local: LocalTracks;
  readonly activity: Activity;
  readonly transcript: Transcript;
  readonly muted: boolean;

  config(): Promise<RoomFacts>;
  /** Why this room cannot be entered, as far as its facts tell; after `config()`. */
  refusal(): RoomError | null;
  /** @throws {RoomError | DeviceError} */
  join(options?: JoinOptions): Promise<void>;
  leave(): void;
  /** Returns false when not connected. */
  sendAppMessage(event: AppMessage): boolean;
  respond(text: string): boolean;
  echo(text: string): boolean;
  interrupt(): boolean;
  setMicrophone(choice: DeviceChoice): Promise<void>;
  setCamera(choice: DeviceChoice): Promise<void>;
  setMuted(muted: boolean): void;
  shareScreen(): Promise<void>;
  stopScreen(): Promise<void>;

  addEventListener<K extends keyof ConversationEvents>(
    type: K,
    listener: (event: CustomEvent<ConversationEvents[K]>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof ConversationEvents>(
    type: K,
    listener: (event: CustomEvent<ConversationEvents[K]>) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

/** Make a Conversation and join it. @throws {RoomError | DeviceError} */
export function join(url: string, options?: JoinOptions & ConversationOptions): Promise<Conversation>;

export interface Device {
  id: string;
  /** Empty until a device was allowed once. */
  name: string;
}

export function listDevices(): Promise<{ microphones: Device[]; cameras: Device[]; speakers: Device[] }>;
export function openMicrophone(deviceId?: string): Promise<MediaStreamTrack>;
export function openCamera(deviceId?: string): Promise<MediaStreamTrack>;
export function openScreen(): Promise<MediaStreamTrack>;
export function canShareScreen(): boolean;
export function canChooseSpeaker(): boolean;
/** Why no device can be asked for on this page, "" when they can. */
export function devicesUnavailable(device?: "microphone" | "camera" | "display-capture"): "" | "insecure" | "blocked";

/** Watch a track's loudness, 0 quiet to 1 loud. */
export class LevelMeter {
  constructor(track: MediaStreamTrack, onLevel: (level: number) => void);
  close(): void;
}

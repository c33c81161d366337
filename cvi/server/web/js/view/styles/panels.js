/** Chat and settings: beside the stage where there is room, over it where there is not. */

export const PANELS = `
.side { width: 22rem; min-height: 0; padding: 0.75rem 0.75rem 0.75rem 0; }
.panel { height: 100%; display: flex; flex-direction: column; border-radius: var(--radius); background: var(--surface); box-shadow: inset 0 0 0 1px var(--line); overflow: hidden; }
.panel header { display: flex; align-items: center; justify-content: space-between; padding: 0.75rem 0.75rem 0.25rem 1.25rem; }
.log { flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; list-style: none; padding: 0.75rem 1.25rem 1rem; display: flex; flex-direction: column; gap: 0.375rem; }
.log:focus-visible { outline-offset: -3px; }
.log li { max-width: 88%; align-self: flex-start; overflow-wrap: anywhere; }
.log b { display: block; font-size: 0.75rem; font-weight: 600; color: var(--muted); margin: 0.625rem 0 0.25rem; }
.log small { color: var(--muted); font-size: 0.75rem; }
.log .user { align-self: flex-end; }
.log .user b { text-align: right; }
.log p { white-space: pre-wrap; font-size: 0.9375rem; }
.log .user p { padding: 0.5rem 0.875rem; border-radius: 1.125rem 1.125rem 0.25rem; background: color-mix(in oklab, var(--accent) 14%, var(--surface)); }
.log .user p.partial { color: var(--muted); }
.chat-empty { padding: 0.5rem 1.25rem; color: var(--muted); font-size: 0.875rem; text-wrap: pretty; }
.compose { display: flex; align-items: flex-end; gap: 0.5rem; margin: 0 0.75rem 0.75rem; padding: 0.3125rem; border-radius: 1.5rem; background: var(--raised); }
.compose:focus-within { box-shadow: 0 0 0 2px var(--accent); }
.compose textarea { flex: 1; min-width: 0; resize: none; border: 0; outline: 0; background: none; padding: 0.4375rem 0.25rem 0.4375rem 0.75rem; line-height: 1.4; max-height: 8.75rem; }
.compose textarea::placeholder { color: var(--muted); }
.send { display: grid; place-items: center; width: 2.375rem; height: 2.375rem; border-radius: 50%; background: var(--accent); color: var(--on-accent); transition: opacity 120ms; flex: none; }
.send:disabled { opacity: 0.3; }
.settings .fields { padding: 0.75rem 1.25rem; overflow-y: auto; }
.settings select { background-color: var(--ground); }
.switch { display: flex; align-items: center; justify-content: space-between; gap: 1rem; margin: 0.25rem 1.25rem 1.25rem; padding-top: 0.875rem; border-top: 1px solid var(--line); cursor: pointer; }
.switch input { appearance: none; flex: none; width: 2.75rem; height: 1.625rem; margin: 0; border-radius: 999px; background: light-dark(#c9c5bd, #4a4d4e); cursor: pointer; transition: background 150ms; }
.switch input::after { content: ""; display: block; width: 1.25rem; height: 1.25rem; margin: 0.1875rem; border-radius: 50%; background: #fff; transition: transform 150ms; }
.switch input:checked { background: var(--accent); }
.switch input:checked::after { transform: translateX(1.125rem); }
@container room (max-width: 60rem) {
  .side { width: 19rem; }
}
@container room (max-width: 40rem) {
  .live { grid-template-columns: minmax(0, 1fr); grid-template-rows: minmax(0, 1fr); }
  .live:has(.side:not([hidden])) { grid-template-rows: minmax(0, 4fr) minmax(0, 5fr); }
  .live:has(.settings) { grid-template-rows: minmax(0, 1fr) auto; }
  .live:has(.side:not([hidden])) .controls { padding-block: 0.375rem; }
  .live:has(.side:not([hidden])) .control { flex-basis: 2.5rem; max-width: 2.5rem; }
  .live:has(.side:not([hidden])) .control.for-leave { flex-basis: 3.25rem; max-width: 3.25rem; }
  .live:has(.side:not([hidden])) .face { height: 100%; mask-image: none; }
  .side { width: auto; padding: 0; }
  .live:has(.side:not([hidden])) .chips { top: 3.25rem; }
  .panel { border-radius: 0; box-shadow: 0 -1px 0 var(--line); padding-bottom: env(safe-area-inset-bottom); }
}
@container room (max-width: 40rem) and (max-height: 24rem) {
  /* A keyboard covers the rest: what is written goes before what is seen, and the buttons stay. */
  .live:has(.chat) { grid-template-rows: auto minmax(0, 1fr); }
  .live:has(.chat) .column { grid-template-rows: auto; }
  .live:has(.chat) .stage { display: none; }
}
`;

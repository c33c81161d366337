/** The conversation: the stage and the row of buttons. */

export const LIVE = `
.live { height: 100%; display: grid; grid-template-columns: minmax(0, 1fr) auto; }
.column { display: grid; grid-template-rows: minmax(0, 1fr) auto; min-width: 0; padding: 0.75rem 0.75rem 0; }
.stage { position: relative; overflow: hidden; border-radius: var(--radius); background: var(--stage); isolation: isolate; }
.stage:focus { outline: none; }
.face { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover; opacity: 0; transition: opacity 500ms, filter 300ms; }
.stage.seen .face { opacity: 1; }
.stage.busy .face { filter: blur(10px) brightness(0.75); transform: scale(1.03); }
.orb { position: absolute; inset: 0; display: grid; place-items: center; }
.orb span {
  display: grid; place-items: center; width: min(34cqmin, 13rem); aspect-ratio: 1; border-radius: 50%; font-size: min(13cqmin, 4.5rem); font-weight: 500;
  color: var(--accent); background: color-mix(in oklab, var(--accent) 14%, var(--surface));
  box-shadow: 0 0 0 calc(var(--loud, 0) * 2.2rem) color-mix(in oklab, var(--accent) 16%, transparent); transition: box-shadow 90ms linear;
}
.portrait { position: absolute; top: 50%; left: 50%; translate: -50% -50%; width: min(44cqmin, 17rem); aspect-ratio: 1; object-fit: cover; border-radius: 50%;
  box-shadow: 0 0 0 1px var(--line), 0 12px 40px rgb(0 0 0 / 14%); }
.stage.busy .portrait { animation: waiting 2.4s ease-in-out infinite; }
@keyframes waiting { 0%, 100% { opacity: 0.82; } 50% { opacity: 1; } }
.stage.seen .portrait, .portrait:not(.drawn), .orb:has(+ .portrait.drawn) { display: none; }
.stage.busy .orb span { animation: breathe 1.8s ease-in-out infinite; }
.stage.seen .orb { display: none; }
.badge, .chip, .notice, .hear, .full {
  color: #fff; background: rgb(18 18 18 / 46%); backdrop-filter: blur(16px) saturate(1.4); border-radius: 999px;
}
.badge { position: absolute; top: 0.875rem; left: 0.875rem; display: flex; align-items: center; gap: 0.5rem; max-width: calc(100% - 12rem);
  padding: 0.375rem 0.875rem 0.375rem 0.75rem; font-size: 0.875rem; }
.badge img { height: 1.25rem; max-width: 5rem; object-fit: contain; }
.badge b { font-weight: 600; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.badge i { width: 0.5rem; height: 0.5rem; flex: none; border-radius: 50%; background: #7ddcb5; transition: background 200ms; }
.badge .activity { color: rgb(255 255 255 / 78%); white-space: nowrap; }
[data-activity="thinking"] .badge i { background: #f2c879; animation: breathe 1.2s ease-in-out infinite; }
[data-activity="speaking"] .badge i { background: #fff; }
[data-activity="waiting"] .badge i { background: rgb(255 255 255 / 42%); }
.full { position: absolute; top: 0.75rem; right: 0.75rem; opacity: 0; transition: opacity 150ms; z-index: 2; }
.full:hover { background: rgb(18 18 18 / 66%); color: #fff; }
.stage:hover .full, .full:focus-visible { opacity: 1; }
.self {
  position: absolute; right: 0.875rem; bottom: 0.875rem; width: clamp(5.5rem, 17cqw, 12rem); aspect-ratio: 16 / 10; object-fit: cover;
  border-radius: 0.875rem; transform: scaleX(-1); background: #222; box-shadow: 0 0 0 1.5px rgb(255 255 255 / 24%), 0 8px 28px rgb(0 0 0 / 28%);
}
.chips { position: absolute; top: 3.75rem; left: 0.875rem; display: grid; justify-items: start; gap: 0.5rem; }
.chip { display: flex; align-items: center; gap: 0.5rem; padding: 0.375rem 0.875rem 0.375rem 0.625rem; font-size: 0.8125rem; }
.chip .icon { width: 1.125rem; height: 1.125rem; }
.chip.muted { background: color-mix(in srgb, var(--danger) 88%, transparent); }
.chip.recorded-here i { width: 0.5rem; height: 0.5rem; margin: 0 0.125rem 0 0.25rem; border-radius: 50%; background: #ff6b5e; }
.chip button { font-weight: 600; text-decoration: underline; text-underline-offset: 3px; padding: 0.125rem 0.25rem; }
.captions { position: absolute; inset: auto 0 1.25rem; display: grid; justify-items: center; padding: 0 calc(clamp(5.5rem, 17cqw, 12rem) + 1.75rem); pointer-events: none; }
.captions p {
  max-width: min(100%, 38rem); padding: 0.5rem 1rem 0.5625rem; border-radius: 0.875rem; color: #fff; background: rgb(12 12 12 / 66%); backdrop-filter: blur(12px);
  font-size: clamp(1rem, 0.85rem + 0.55cqw, 1.3125rem); line-height: 1.4; text-align: center;
}
.captions span { display: block; }
.captions b { display: block; font-size: 0.75rem; font-weight: 600; opacity: 0.75; }
.captions p.user { color: rgb(255 255 255 / 86%); }
.notice { position: absolute; top: 0.875rem; left: 50%; translate: -50% 0; max-width: min(30rem, calc(100% - 2rem)); width: max-content; padding: 0.5625rem 1.125rem; font-size: 0.875rem; line-height: 1.4; text-align: center; text-wrap: balance; border-radius: 1.25rem; z-index: 1; }
.notice:empty, .detail:empty { display: none; }
.detail { position: absolute; left: 50%; translate: -50% 0; top: calc(50% + 3rem); width: max-content; max-width: calc(100% - 2rem); font-size: 0.8125rem; color: #fff; text-align: center; text-wrap: balance; }
.stage.busy .notice { top: 50%; translate: -50% -50%; font-size: 1rem; padding: 0.75rem 1.5rem; }
.stage.busy:not(.seen) .notice { top: calc(50% + min(24cqmin, 9.5rem)); translate: -50% 0; padding-block: 0.25rem; background: none; backdrop-filter: none; color: var(--text); font-weight: 550; }
.stage:not(.seen) .detail { top: calc(50% + min(24cqmin, 9.5rem) + 2.25rem); color: var(--muted); }
.hear { position: absolute; top: 50%; left: 50%; translate: -50% -50%; display: flex; align-items: center; gap: 0.625rem; min-height: 3.25rem; padding: 0 1.5rem; font-weight: 600; background: var(--accent); color: var(--on-accent); }
.controls { display: flex; min-width: 0; justify-content: center; align-items: center; gap: 0.625rem; padding: 0.75rem 0.25rem max(0.75rem, env(safe-area-inset-bottom)); }
.control { position: relative; display: grid; place-items: center; width: 3.125rem; height: 3.125rem; border-radius: 50%; background: var(--surface); box-shadow: inset 0 0 0 1px var(--line); transition: background 120ms, color 120ms, opacity 200ms; }
.control:hover:not(:disabled) { background: var(--raised); }
.control:disabled { opacity: 0.38; }
.control.off { background: color-mix(in oklab, var(--danger) 14%, var(--surface)); color: var(--danger); }
.control.on { background: color-mix(in oklab, var(--accent) 16%, var(--surface)); color: var(--accent); }
.control.unread::after { content: ""; position: absolute; top: 0.125rem; right: 0.125rem; width: 0.625rem; height: 0.625rem; border-radius: 50%; background: var(--accent); box-shadow: 0 0 0 2px var(--ground); }
.control.for-leave { width: 4.25rem; border-radius: 999px; background: var(--danger); color: #fff; box-shadow: none; margin-left: 0.375rem; }
.control.for-leave .icon { width: 1.75rem; height: 1.75rem; }
.control.for-leave:hover { background: color-mix(in oklab, var(--danger) 86%, #000); }
@container room (max-aspect-ratio: 3 / 4) {
  /* A face that fills an upright screen is nearer than people stand; it keeps the upper part, and fades out. */
  .face { height: min(100%, 120cqw); mask-image: linear-gradient(#000 82%, transparent); }
  .stage.busy .face { transform: none; }
}
@container room (max-width: 40rem) {
  .column { padding: 0; position: relative; }
  .stage { border-radius: 0; }
  .captions { padding: 0 1rem; }
  .controls { gap: clamp(0.1875rem, 1.4cqw, 0.5rem); padding: 0.625rem 0.375rem max(0.625rem, env(safe-area-inset-bottom)); }
  .control { width: auto; height: auto; flex: 0 1 2.75rem; min-width: 2.125rem; max-width: 2.75rem; aspect-ratio: 1; }
  .control.for-leave { flex: 0 1 3.5rem; min-width: 2.75rem; max-width: 3.5rem; aspect-ratio: 56 / 44; margin-left: 0; }
  .control.for-captions { display: none; }
  .self { bottom: auto; top: 0.75rem; right: 0.75rem; aspect-ratio: 3 / 4; width: 5.25rem; }
  .full { display: none; }
  .badge { max-width: calc(100% - 7.5rem); }
  .notice { top: 3.5rem; }
}
@container room (max-width: 23.5rem) {
  .control.for-screen { display: none; }
  .control.for-interrupt:disabled { display: none; }
  .badge .activity { display: none; }
}
@container room (max-height: 26rem) {
  .self { width: 6rem; }
  .captions { padding: 0 7.75rem; inset-block-end: 0.75rem; }
}
@container room (max-height: 22rem) {
  .column { padding: 0; }
  .stage { border-radius: 0; }
  .controls { padding: 0.375rem; }
  .control { width: 2.5rem; height: 2.5rem; }
}
`;

/** The screens around a conversation: before it, after it, and while it loads. */

export const CARDS = `
.prejoin {
  height: 100%; overflow-y: auto; overflow-anchor: none; display: grid; align-content: safe center; justify-content: center; gap: clamp(1.5rem, 4cqw, 4rem);
  grid-template-columns: minmax(0, 40rem) minmax(16rem, 22rem); align-items: center; padding: clamp(1rem, 4cqw, 3.5rem);
}
.preview { position: relative; aspect-ratio: 4 / 3; border-radius: calc(var(--radius) * 1.2); overflow: hidden; background: var(--stage); box-shadow: var(--shadow); }
.preview.audio-only { aspect-ratio: 16 / 10; }
.mirror { width: 100%; height: 100%; object-fit: cover; transform: scaleX(-1); }
.blank { position: absolute; inset: 0; display: grid; place-content: center; justify-items: center; gap: 0.75rem; color: var(--muted); text-align: center; padding: 1rem; }
.blank .icon { width: 3.5rem; height: 3.5rem; stroke-width: 1; }
.preview-controls { position: absolute; inset: auto 0 1.25rem; display: flex; justify-content: center; gap: 0.75rem; }
.round {
  display: grid; place-items: center; width: 3.25rem; height: 3.25rem; border-radius: 50%; color: #fff;
  background: rgb(20 20 20 / 48%); backdrop-filter: blur(14px) saturate(1.4); transition: background 120ms;
}
.round:hover { background: rgb(20 20 20 / 66%); }
.round.off { background: var(--danger); }
.round:focus-visible { outline-color: #fff; }
.prejoin-form { display: grid; gap: 1.125rem; min-width: 0; }
.prejoin .lead { color: var(--muted); margin-top: -0.625rem; text-wrap: pretty; }
.logo { max-width: 9rem; max-height: 2.5rem; object-fit: contain; object-position: left; margin-bottom: 0.5rem; }
.level-row { display: grid; gap: 0.5rem; }
.level { display: grid; grid-auto-flow: column; gap: 3px; height: 0.5rem; }
.level i { border-radius: 2px; background: var(--raised); transition: background 60ms; }
.level i.lit { background: var(--accent); }
.hint { font-size: 0.8125rem; color: var(--muted); }
.prejoin .primary { padding: 0.5rem 0.75rem; text-wrap: balance; }
.recorded { font-size: 0.8125rem; color: var(--muted); display: flex; align-items: center; gap: 0.5rem; }
.recorded::before { content: ""; width: 0.5rem; height: 0.5rem; border-radius: 50%; background: var(--danger); }
.problems { display: grid; gap: 0.75rem; justify-items: start; padding: 0.875rem 1rem; border-radius: 0.875rem; font-size: 0.875rem;
  background: color-mix(in oklab, var(--warn) 12%, var(--surface)); }
.problems:empty { display: none; }
.problems .plain { min-height: 2.25rem; padding: 0 1rem; font-size: 0.875rem; }
@container room (max-width: 52rem) {
  .prejoin { display: flex; flex-direction: column; justify-content: safe center; gap: 1.25rem; padding: 1rem 1rem 1.5rem; }
  .prejoin > * { flex: none; width: min(100%, 28rem); margin-inline: auto; }
  .preview { aspect-ratio: auto; height: min(35cqh, 18rem); }
  .preview.audio-only { aspect-ratio: auto; height: 9rem; }
  .blank { padding-bottom: 5rem; gap: 0.375rem; }
  .blank .icon { width: 2.5rem; height: 2.5rem; }
  .prejoin .primary { position: sticky; bottom: 0; padding: 0 0.75rem; white-space: nowrap; font-size: clamp(0.8125rem, 4.2cqw, 1rem); box-shadow: 0 0 0 0.75rem var(--ground); }
}
@container room (min-width: 52rem) and (max-height: 34rem) {
  .prejoin { align-items: start; padding-block: 1rem; }
  .preview { position: sticky; top: 0; max-height: calc(100cqh - 2rem); }
  .prejoin .primary { position: sticky; bottom: 0; box-shadow: 0 0 0 0.75rem var(--ground); }
}
.card { height: 100%; display: grid; place-content: center; justify-items: center; gap: 0.875rem; text-align: center; padding: 2rem; }
.card p { color: var(--muted); max-width: 28rem; text-wrap: balance; }
.buttons { display: flex; flex-wrap: wrap; justify-content: center; gap: 0.75rem; margin-top: 1rem; }
.card .buttons .plain { min-height: 3rem; }
.dots { display: flex; gap: 0.5rem; }
.dots i { width: 0.5rem; height: 0.5rem; border-radius: 50%; background: var(--accent); animation: breathe 1.4s ease-in-out infinite; }
.dots i:nth-child(2) { animation-delay: 0.18s; }
.dots i:nth-child(3) { animation-delay: 0.36s; }
@keyframes breathe { 0%, 100% { opacity: 0.25; } 50% { opacity: 1; } }
`;

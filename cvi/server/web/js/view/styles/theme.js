/** Colours, type and the plainest elements. Every `--cvi-…` variable may be set from outside. */

export const THEME = `
:host {
  display: block;
  position: relative;
  width: 100%;
  height: 100%;
  min-height: 24rem;
  overflow: hidden;
  color-scheme: light dark;
  --accent: var(--cvi-accent, light-dark(#27574b, #9fd3c2));
  --on-accent: var(--cvi-on-accent, light-dark(#fff, #10241e));
  --ground: var(--cvi-background, light-dark(#f4f2ee, #0e0f10));
  --surface: var(--cvi-surface, light-dark(#fff, #191b1c));
  --raised: light-dark(#eae7e1, #26292a);
  --text: var(--cvi-text, light-dark(#1d1c1a, #f1efeb));
  --muted: light-dark(#65625c, #a3a09a);
  --line: light-dark(rgb(29 28 26 / 12%), rgb(255 255 255 / 12%));
  --danger: var(--cvi-danger, light-dark(#c0392f, #d9534a));
  --warn: light-dark(#8a5a00, #f0c67a);
  --radius: var(--cvi-radius, 1.25rem);
  --stage: var(--cvi-stage, light-dark(#dedad2, #17191a));
  --shadow: light-dark(0 1px 2px rgb(40 35 25 / 6%), 0 0 0 transparent), light-dark(0 12px 40px rgb(40 35 25 / 8%), 0 0 0 transparent);
  font: 400 1rem/1.5 var(--cvi-font, Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif);
}
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
:host([page]) { min-height: 0; }
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
.frame {
  position: absolute;
  inset: 0;
  container: room / size;
  background: var(--ground);
  color: var(--text);
  -webkit-font-smoothing: antialiased;
  overflow: hidden;
}
.visually-hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
h1, h2, p, ol { margin: 0; padding: 0; }
h1 { font-size: clamp(1.5rem, 1.1rem + 1.6cqw, 2.125rem); font-weight: 600; line-height: 1.2; letter-spacing: -0.02em; text-wrap: balance; }
h1:focus { outline: none; }
h2 { font-size: 1rem; font-weight: 600; }
.icon { width: 1.375rem; height: 1.375rem; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; flex: none; }
button, input, select, textarea { font: inherit; color: inherit; }
button { border: 0; background: none; cursor: pointer; touch-action: manipulation; -webkit-tap-highlight-color: transparent; }
button:disabled { cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
.primary, .plain { min-height: 3rem; padding: 0 1.5rem; border-radius: 999px; font-weight: 600; transition: background 120ms, transform 120ms; }
.primary { background: var(--accent); color: var(--on-accent); }
.primary:hover { background: color-mix(in oklab, var(--accent) 90%, var(--text)); }
.primary:active { transform: scale(0.985); }
.plain { min-height: 2.75rem; border: 1px solid var(--line); background: transparent; }
.plain:hover { background: var(--raised); }
.quiet { display: grid; place-items: center; width: 2.5rem; height: 2.5rem; border-radius: 50%; color: var(--muted); }
.quiet:hover { background: var(--raised); color: var(--text); }
.fields { display: grid; gap: 0.875rem; }
.field { display: grid; gap: 0.375rem; min-width: 0; }
.field-name { display: flex; justify-content: space-between; font-size: 0.8125rem; font-weight: 500; color: var(--muted); }
.field-name small { font-size: inherit; font-weight: 400; opacity: 0.85; }
.field input, .field select {
  width: 100%; min-width: 0; height: 2.875rem; padding: 0 0.875rem;
  border: 1px solid var(--line); border-radius: 0.75rem; background: var(--surface); text-overflow: ellipsis;
}
.field select {
  appearance: none; padding-right: 2.25rem; cursor: pointer;
  background: var(--surface) linear-gradient(45deg, transparent 50%, var(--muted) 50%) right 1.15rem center / 0.4rem 0.4rem no-repeat;
  background-image: linear-gradient(45deg, transparent 50%, var(--muted) 50%), linear-gradient(-45deg, transparent 50%, var(--muted) 50%);
  background-position: right 1.2rem center, right 0.85rem center; background-size: 0.36rem 0.36rem; background-repeat: no-repeat;
}
.field select:disabled { opacity: 0.6; cursor: default; }
@media (prefers-reduced-motion: reduce) {
  *, ::before, ::after { animation-duration: 1ms !important; animation-iteration-count: 1 !important; transition-duration: 1ms !important; }
}
@media (forced-colors: active) {
  .primary, .plain, .control, .round, .quiet { border: 1px solid ButtonText; }
}
`;

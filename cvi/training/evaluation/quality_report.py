"""The HTML report of a replica: measures with their targets, the validation loss, truth beside result."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cvi.training.arrays import Bytes
from cvi.training.evaluation.held_out import Evaluation, ReportSample


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure's label and target: at `least`, at `most`, both or none."""

    mode: str
    key: str
    label: str
    least: float | None = None
    most: float | None = None
    digits: int = 2

    @property
    def target(self) -> str:
        """The target in words; "" where there is none."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"at least {self.least:g}"
        return f"at most {self.most:g}" if self.most is not None else ""

    def met(self, value: float) -> bool | None:
        """Whether `value` meets the target; None without one."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


MEASURES = (
    Measure("pasted", "head_psnr_db", "head box, pasted back: PSNR, dB", least=38, digits=1),
    Measure("pasted", "hidden_psnr_db", "hidden region: PSNR, dB", least=31, digits=1),
    Measure("pasted", "lips_psnr_db", "lip box: PSNR, dB", least=30, digits=1),
    Measure("pasted", "lips_ssim", "lip box: SSIM", least=0.88, digits=3),
    Measure("pasted", "lips_ms_ssim", "lip box: MS-SSIM", digits=3),
    Measure("pasted", "lips_gradient_similarity", "lip box: gradient similarity", digits=3),
    Measure("pasted", "lips_sharpness", "lip box: edge strength over the truth's"),
    Measure("pasted", "lip_distance_at_512_px", "lip landmarks: distance at 512 px", most=2.2),
    Measure("pasted", "opening_correlation", "mouth opening: correlation", digits=3),
    Measure("pasted", "opening_amplitude", "mouth opening: amplitude over the truth's", 0.85, 1.1),
    Measure("pasted", "jitter", "lip jitter over the truth's", 0.85, 1.15),
    Measure("pasted", "closure_share", "P, B, M closed within 40 ms", least=0.95),
    Measure("from sound", "hidden_psnr_db", "hidden region: PSNR, dB", digits=1),
    Measure("from sound", "lips_psnr_db", "lip box: PSNR, dB", digits=1),
    Measure("from sound", "lips_ssim", "lip box: SSIM", digits=3),
    Measure("from sound", "head_psnr_db", "head box, pasted back: PSNR, dB", least=38, digits=1),
    Measure("from sound", "lip_distance_at_512_px", "lip landmarks: distance at 512 px", most=2.2),
    Measure("from sound", "opening_correlation", "mouth opening: correlation", least=0.8, digits=3),
    Measure("from sound", "opening_amplitude", "mouth opening: amplitude over the truth's", 0.85, 1.1),
    Measure("from sound", "closure_share", "P, B, M closed within 40 ms", least=0.95),
    Measure("by script", "lip_distance_at_512_px", "lip landmarks: distance at 512 px", most=2.2),
    Measure("by script", "opening_correlation", "mouth opening: correlation", least=0.8, digits=3),
    Measure("by script", "opening_amplitude", "mouth opening: amplitude over the truth's", 0.85, 1.1),
    Measure("by script", "closure_share", "P, B, M closed within 40 ms", least=0.95),
    Measure("idle", "opening_correlation", "mouth opening: correlation", least=0.8, digits=3),
    Measure("idle", "opening_amplitude", "mouth opening: amplitude over the truth's", 0.85, 1.1),
    Measure("idle", "jitter", "lip jitter over the truth's", 0.85, 1.15),
    Measure("idle", "lag_frames", "picture behind sound, frames", -1, 1, 0),
    Measure("idle", "closure_share", "P, B, M closed within 40 ms", least=0.95),
    Measure("idle", "faces_found", "frames in which a face is found", least=0.99),
    Measure("swap", "follows_asked", "lips follow the requested mouth", least=0.9, digits=3),
    Measure("swap", "follows_base", "lips follow the frame beneath", most=0.15, digits=3),
    Measure("rest", "asked_movement", "mouth at rest: requested movement", most=0.0),
)
MODES = {
    "pasted": "Pasted back, the true mouth",
    "from sound": "Pasted back, the mouth predicted from the sound",
    "by script": "Pasted back, the mouth of the script's phones",
    "idle": "As it is used: its own clips, held-out sound",
    "swap": "One frame's face, another's mouth",
    "rest": "Silence",
}


def rows(figures: dict[str, dict[str, float]]) -> Iterable[tuple[Measure, float]]:
    """The measures that have a value, in order."""
    for measure in MEASURES:
        value = figures.get(measure.mode, {}).get(measure.key)
        if value is not None:
            yield measure, value


def report_page(
    name: str,
    about: dict[str, str],
    evaluation: Evaluation,
    validation: Sequence[tuple[int, float]] = (),
) -> str:
    """A self-contained HTML document. `about` are facts for its head; `validation` (step, loss) pairs."""
    facts = "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(text)}</dd>" for key, text in about.items())
    tables = "".join(_table(mode, title, evaluation) for mode, title in MODES.items())
    shots = "".join(_figure(sample) for sample in evaluation.samples)
    return _PAGE.format(
        name=html.escape(name),
        facts=facts,
        tables=tables,
        loss=_loss_curve(validation),
        shots=shots,
        frames=evaluation.frames,
    )


def _loss_curve(validation: Sequence[tuple[int, float]]) -> str:
    """The validation loss over the steps, on a logarithmic scale; "" without any."""
    if not validation:
        return ""
    steps, losses = np.array([step for step, _ in validation]), np.array([loss for _, loss in validation])
    height = np.log(losses / losses.min()) / max(float(np.log(losses.max() / losses.min())), 1e-9)
    points = " ".join(
        f"{x:.1f},{y:.1f}" for x, y in zip(steps / steps[-1] * 600, 118 - 116 * height, strict=True)
    )
    return (
        f"<h2>Loss on held-out frames</h2><svg class=loss viewBox='0 0 600 120' role=img "
        f"aria-label='loss over training steps'><polyline points='{points}'/></svg>"
        f"<p>{losses[0]:.4f} after {steps[0]} steps, {losses[-1]:.4f} after {steps[-1]}; "
        f"lowest {losses.min():.4f} after {steps[losses.argmin()]}.</p>"
    )


def _table(mode: str, title: str, evaluation: Evaluation) -> str:
    lines = []
    for measure, value in rows(evaluation.figures):
        if measure.mode != mode:
            continue
        met = measure.met(value)
        verdict = {True: "reached", False: "not reached", None: ""}[met]
        mark = {True: "yes", False: "no", None: ""}[met]
        lines.append(
            f"<tr><td>{measure.label}</td><td class=n>{value:.{measure.digits}f}</td>"
            f"<td>{measure.target}</td><td class='{mark}'>{verdict}</td></tr>"
        )
    if not lines:
        return ""
    head = "<tr><th>measure</th><th class=n>result</th><th>target</th><th></th></tr>"
    return f"<h2>{title}</h2><table>{head}{''.join(lines)}</table>"


def _figure(sample: ReportSample) -> str:
    three = ((sample.truth, "truth"), (sample.pasted, "result"), (sample.from_sound, "from sound"))
    faces = "".join(_image(picture, caption) for picture, caption in three)
    two = ((sample.frame, "truth"), (sample.frame_pasted, "result"), (sample.frame_idle, "in use"))
    wholes = "".join(_image(picture, caption) for picture, caption in two)
    return f"<h3>{sample.time_s:.2f} s</h3><div class=row>{faces}</div><div class=row>{wholes}</div>"


def _image(picture: Bytes, caption: str) -> str:
    import cv2

    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert done
    text = base64.b64encode(data.tobytes()).decode()
    return (
        f"<figure><img alt='{caption}' src='data:image/jpeg;base64,{text}'>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}: how good it is</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --yes: #1a7f37; --no: #b35900 }}
@media (prefers-color-scheme: dark) {{ :root {{ --yes: #4ac26b; --no: #f0a050 }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem }} dd {{ margin: 0 }}
dt {{ opacity: .7 }}
table {{ border-collapse: collapse; width: 100%; max-width: 46rem }}
td, th {{ padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left }}
.n {{ text-align: right; font-variant-numeric: tabular-nums }}
.yes {{ color: var(--yes) }} .no {{ color: var(--no) }}
.loss {{ width: 100%; max-width: 46rem; border: 1px solid var(--line) }}
.loss polyline {{ fill: none; stroke: currentColor; stroke-width: 1.5 }}
.row {{ display: flex; flex-wrap: wrap; gap: .6rem; margin-bottom: .6rem }}
figure {{ margin: 0; flex: 1 1 16rem; min-width: 0 }} img {{ width: 100%; border-radius: 6px }}
figcaption {{ font-size: .85rem; opacity: .7 }}
</style>
<h1>{name}</h1>
<dl>{facts}</dl>
<p>Measured on {frames} held-out frames, which training never saw. The movement of the lips was tracked in the
resulting pictures.</p>
{tables}
{loss}
<h2>Truth and result</h2>
{shots}
</html>
"""

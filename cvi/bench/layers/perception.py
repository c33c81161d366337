"""How well perception sees and hears participants whose truth is exact, and what it costs.

Pictures: a stock character acts out a script of blinks, turns, looks, smiles, brows, nods and shakes
(`cvi.testing.footage.participant_script`), drawn and looked at frame by frame as a camera's would be. Sound:
vowels with a known course of pitch, and sentences of a voice whose sounds are known with their times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, AudioBlock, to_int16
from cvi.audio.resample import resample
from cvi.bench.layers.measurement import wins
from cvi.bench.run import SHARE, Figure, Variant
from cvi.media.live_picture import Rgb
from cvi.perception.hearing import Hearing
from cvi.perception.looker import CpuMeter, build_looker
from cvi.perception.sight import Sight
from cvi.testing.footage.participant_script import (
    CALM_S,
    ParticipantScript,
    busy_script,
    draw,
    neutral_script,
)

SHUT = 0.5
"""Lids lower than this are a blink."""
_WITHIN_S = 0.5
ON_SCREEN_DEG, AWAY_DEG = 8.0, 13.0
"""Looks between these are neither on the screen nor away from it, and are not counted."""
_SETTLED_S = 0.35
"""After a change of gaze or expression: what comes before is on its way."""
_EPISODES = (("smile", "smile"), ("raised", "raise"), ("furrowed", "furrow"))
SENTENCES = (
    "Most mornings begin the same way.",
    "I make a pot of coffee and open the window.",
    "The baker puts fresh bread on the shelf, and a bus moves past the house.",
    "Please remember, number seventeen opens upon the promise of June.",
    "We would like to go through the woods while the weather is warm.",
)
_VOWELS = set("aeiouɑɒæɐəɚɛɜɝɪɔʊʌyøœɨʉᵻ")


@dataclass(slots=True)
class _Watched:
    """Looks at one script: frame number -> sight; processor seconds; gestures found at."""

    script: ParticipantScript
    sights: dict[int, Sight] = field(default_factory=dict)
    cpu_s: list[float] = field(default_factory=list)


def measure_seeing(
    replica: str, seeds: Sequence[int], looks_per_s: float, progress: Callable[[str], None]
) -> Variant:
    """Watch the replica act a busy script for each seed. Raises MissingError without mesh or replica."""
    watched = []
    for seed in seeds:
        progress(f"{replica}, script {seed}")
        watched.append(_watch(busy_script(seed), replica, looks_per_s))
    figures = tuple(_seeing_figures(watched, looks_per_s))
    return Variant(f"{replica} at {looks_per_s:g} looks/s", figures=figures)


def measure_neutral(
    replica: str, seconds: float, looks_per_s: float, progress: Callable[[str], None]
) -> Variant:
    """How often a neutral face is said to do something, in words of the state. Raises as above."""
    from cvi.perception.wording import Describer

    progress(f"{replica}, {seconds:.0f} s neutral")
    watched = _watch(neutral_script(1, seconds), replica, looks_per_s)
    describer, plain, said = Describer(), ("", "They are looking at you."), []
    said += [float(describer.describe(sight) not in plain) for sight in watched.sights.values()]
    figure = Figure("neutral_remarked", "neutral face described as doing something", SHARE, tuple(said))
    return Variant(f"{replica} neutral", figures=(figure,))


def _watch(script: ParticipantScript, replica: str, looks_per_s: float) -> _Watched:
    watched, looker = _Watched(script), build_looker()
    meter: CpuMeter | None = None
    try:
        for index, rgb in enumerate(draw(script, replica)):
            if index / script.fps < len(watched.sights) / looks_per_s - 1e-9:
                continue
            before_s = meter.used_s() if meter is not None else 0.0
            watched.sights[index] = looker.look(rgb, index / script.fps)
            if meter is None:
                meter = CpuMeter(looker.pid)
            else:
                watched.cpu_s.append(meter.used_s() - before_s)
    finally:
        looker.close()
    return watched


def _seeing_figures(all_watched: Sequence[_Watched], looks_per_s: float) -> list[Figure]:
    truths = hits = found = 0
    errors: dict[str, list[float]] = {"yaw": [], "pitch": [], "roll": []}
    right: list[float] = []
    scores: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name, _ in _EPISODES}
    gestures: dict[str, list[float]] = {"nod": [], "shake": []}
    false_gestures = 0
    for watched in all_watched:
        script = watched.script
        t, h, f = _blinks(watched)
        truths, hits, found = truths + t, hits + h, found + f
        for index, sight in watched.sights.items():
            if index / script.fps < CALM_S or not sight.present:
                continue
            pose = script.controls[index]
            for name, values in errors.items():
                values.append(abs(getattr(sight, name) - getattr(pose, name)))
            away = _away(script, index)
            if away is not None:
                right.append(float((sight.look != "screen") is away))
            for name, what in _EPISODES:
                inside = _inside(script, index, what)
                if inside is not None:
                    scores[name][0 if inside else 1].append(getattr(sight, name))
        for what in gestures:
            seen, false = _gestures(watched, what)
            gestures[what] += seen
            false_gestures += false
    f1 = 2 * hits / max(truths + found, 1)
    figures = [Figure("blink_f1", f"blinks, F1 of {truths}", "", (f1,), False)]
    figures += [
        Figure(f"{name}_error", f"error of {name}", "°", tuple(values)) for name, values in errors.items()
    ]
    figures.append(Figure("gaze_right", "gaze at the screen or away, right", SHARE, tuple(right), False))
    for name, (inside_, outside) in scores.items():
        area = float(wins(inside_[:3000], outside[:3000]).mean()) if inside_ and outside else math.nan
        figures.append(Figure(f"{name}_auc", f"{name}, area under the curve", "", (area,), False))
    figures.append(
        Figure(
            "smile_told", "from a smile's beginning to the face's cue", "ms", tuple(_smiles_told(all_watched))
        )
    )
    for what, values in gestures.items():
        figures.append(Figure(f"{what}_found", f"{what}s found", SHARE, tuple(values), False))
    figures.append(Figure("false_gestures", "nods and shakes that were none", "", (float(false_gestures),)))
    hands = tuple(float(bool(s.hand)) for watched in all_watched for s in watched.sights.values())
    figures.append(
        Figure("false_hands", "looks that saw a hand at the face, where there is none", SHARE, hands)
    )
    # Ticks of the kernel are coarse: the mean is of many looks.
    cost = [sum(watched.cpu_s) / max(len(watched.cpu_s), 1) for watched in all_watched]
    figures.append(Figure("look_ms", "processor time of a look", "ms", tuple(1000 * each for each in cost)))
    share = tuple(100 * each * looks_per_s for each in cost)
    figures.append(Figure("core_percent", f"of one core at {looks_per_s:g} looks/s", "%", share))
    return figures


def _blinks(watched: _Watched) -> tuple[int, int, int]:
    script = watched.script
    shut = [max(pose.lid_left, pose.lid_right) > SHUT for pose in script.controls]
    truths = [index / script.fps for index in range(1, len(shut)) if shut[index] and not shut[index - 1]]
    found, count = [], 0
    for index, sight in watched.sights.items():
        if sight.blinks > count:
            count = sight.blinks
            found.append(index / script.fps)
    hits = sum(any(0 <= at_s - truth_s < _WITHIN_S for at_s in found) for truth_s in truths)
    return len(truths), hits, len(found)


def _away(script: ParticipantScript, index: int) -> bool | None:
    """Whether the eyes are off the screen; None in between, and shortly after a change."""
    before = range(max(0, index - round(_SETTLED_S * script.fps)), index + 1)
    off = [max(abs(script.look_yaw(frame)), abs(script.look_pitch(frame))) for frame in before]
    if all(each < ON_SCREEN_DEG for each in off):
        return False
    return True if all(each > AWAY_DEG for each in off) else None


def _inside(script: ParticipantScript, index: int, what: str) -> bool | None:
    t_s = index / script.fps
    own = [episode for episode in script.episodes if episode.what == what]
    if any(each.start_s + _SETTLED_S + 0.1 <= t_s < each.end_s - _SETTLED_S for each in own):
        return True
    return None if any(each.start_s <= t_s < each.end_s + 0.5 for each in own) else False


def _smiles_told(all_watched: Sequence[_Watched]) -> list[float]:
    """For each smile that was noticed: the time until the face is told, milliseconds."""
    found = []
    for watched in all_watched:
        seen = [(index / watched.script.fps, sight.answered_smile) for index, sight in watched.sights.items()]
        for episode in watched.script.episodes:
            if episode.what == "smile":
                told = (t_s for t_s, smile in seen if episode.start_s <= t_s < episode.end_s and smile > 0)
                found += [1000 * (t_s - episode.start_s) for t_s in told][:1]
    return found


def _gestures(watched: _Watched, what: str) -> tuple[list[float], int]:
    name = "nodded_s" if what == "nod" else "shook_s"
    spans = [(each.start_s, each.end_s + 0.5) for each in watched.script.episodes if each.what == what]
    times = sorted({at_s for sight in watched.sights.values() if (at_s := getattr(sight, name)) is not None})
    starts = [at_s for at_s, before_s in zip(times, [-9.0, *times], strict=False) if at_s - before_s > 1.0]
    seen = [float(any(start_s <= at_s <= end_s for at_s in times)) for start_s, end_s in spans]
    return seen, sum(not any(start_s <= at_s <= end_s for start_s, end_s in spans) for at_s in starts)


def measure_hearing(voice: str | None, progress: Callable[[str], None]) -> Variant:
    """Pitch of 40 synthetic vowels, and the rate of five sentences of a tts engine with phone times."""
    progress("hearing")
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(40):
        course = _course(rng)
        hearing = _heard(_vowel(course, rng))
        steps = [step for step in hearing.steps if step.pitch_hz > 0]
        errors += [abs(step.pitch_hz / course[round((step.end_s - 0.025) * HEARD_HZ)] - 1) for step in steps]
    rates = [abs(found / truth - 1) for found, truth in _rates(voice)]
    return Variant(
        "hearing",
        figures=(
            Figure("pitch_error", "error of pitch", "%", tuple(100 * each for each in errors)),
            Figure("rate_error", "error of syllables a second", "%", tuple(100 * each for each in rates)),
        ),
    )


def _course(rng: np.random.Generator) -> np.ndarray:
    """The pitch of each sample of 1.2 s, Hz: a start, an end and a wave between them."""
    base = float(rng.uniform(80, 300))
    t = np.arange(round(1.2 * HEARD_HZ)) / HEARD_HZ
    semitones = rng.uniform(-4, 4) * t / 1.2 + rng.uniform(0, 2) * np.sin(2 * np.pi * rng.uniform(0.5, 2) * t)
    return np.asarray(base * 2 ** (semitones / 12))


def _vowel(course: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pulse train through three formants, with a little breath."""
    phase = 2 * np.pi * np.cumsum(course) / HEARD_HZ
    formants = ((rng.uniform(300, 800), 80.0), (rng.uniform(900, 2200), 120.0), (2700.0, 160.0))
    sound = np.zeros(len(course))
    for harmonic in range(1, 40):
        heights = harmonic * course
        gain = sum(1.0 / (1.0 + ((heights - at) / (2 * wide)) ** 2) for at, wide in formants) / harmonic
        sound += np.where(heights < 7000, gain, 0.0) * np.sin(harmonic * phase)
    sound += 0.01 * rng.normal(size=len(sound)) * np.abs(sound).max()
    return np.asarray(0.3 * sound / np.abs(sound).max())


def _heard(sound: np.ndarray) -> Hearing:
    hearing = Hearing()
    pcm = to_int16(sound)
    for at in range(0, len(pcm) - HOP_SAMPLES + 1, HOP_SAMPLES):
        hearing.hear(AudioBlock(pcm[at : at + HOP_SAMPLES], at / HEARD_HZ))
    return hearing


def _rates(voice: str | None) -> list[tuple[float, float]]:
    """Found and true syllables a second of each sentence; true is vowels over the time from the first sound
    to the last, pauses of 0.25 s and longer left out."""
    import asyncio

    from cvi.engine_registry import build
    from cvi.perception.hearing import PAUSE_S
    from cvi.tts.base import Speech, TtsSettings

    async def speak() -> list[tuple[float, float]]:
        engine = build("tts", voice or "flite", TtsSettings())
        found = []
        try:
            for sentence in SENTENCES:
                pieces: list[Speech] = [piece async for piece in engine.speak(sentence)]
                pcm = np.concatenate([piece.pcm for piece in pieces])
                phones = [phone for piece in pieces for phone in piece.phones]
                syllables = sum(bool(set(phone.ipa) & _VOWELS) for phone in phones)
                gaps = sum(
                    phone.end_s - phone.start_s
                    for phone in phones[1:-1]
                    if not phone.ipa.strip("_# ") and phone.end_s - phone.start_s >= PAUSE_S
                )
                sounding = [phone for phone in phones if phone.ipa.strip("_# ")]
                talk_s = sounding[-1].end_s - sounding[0].start_s - gaps
                heard = _heard(resample(pcm, 24_000, HEARD_HZ).astype(np.float64) / 32768)
                summary = heard.between(0.0, len(pcm) / 24_000)
                found.append((summary.syllables_per_s, syllables / talk_s))
        finally:
            engine.close()
        return found

    return asyncio.run(speak())


def measure_reading(progress: Callable[[str], None]) -> Variant:
    """Drawn screens of 1080p: character errors, processor time of a screen and of a new line on it."""
    import time

    from cvi.perception.text_reader import RapidOcrReader, ScreenText

    progress("reading screens")
    reader = RapidOcrReader()
    errors, first, cost, again = [], [], [], []
    for number in range(4):
        paper = 250 - 60 * (number % 2)
        # Large letters on two screens, small ones, and more of them, on two.
        lines, size, step = (3, 1.2, 200) if number < 2 else (18, 0.7, 48)
        said = [
            f"{SENTENCES[(row + number) % 5]} {number}{row}7: 1,2{row % 10}0.50 EUR" for row in range(lines)
        ]
        screen = _written(said, paper, size, step)
        text = ScreenText(reader)
        began_s = time.thread_time()
        used_s, found = [], [""]
        for found in text.read(screen):  # noqa: B007 - the last one is all of it
            used_s.append(time.thread_time() - began_s)
        first.append(used_s[0])
        cost.append(used_s[-1])
        wanted = "".join(said).replace(" ", "")
        errors.append(_distance("".join(found).replace(" ", ""), wanted) / len(wanted))
        began_s = time.thread_time()
        list(text.read(_written([*said[:-1], "Something else stands here now."], paper, size, step)))
        again.append(time.thread_time() - began_s)
    return Variant(
        "reading",
        figures=(
            Figure(
                "character_errors",
                "character errors, spaces left out",
                "%",
                tuple(100 * each for each in errors),
            ),
            Figure("first_lines_s", "processor time until its first six lines are told", "s", tuple(first)),
            Figure("reading_s", "processor time of a screen of 1080p", "s", tuple(cost)),
            Figure("new_line_s", "processor time of a new line on it", "s", tuple(again)),
        ),
    )


def _written(lines: Sequence[str], paper: int, size: float, step: int) -> Rgb:
    """A drawn screen with these lines, `step` pixels apart."""
    import cv2

    screen = np.full((1080, 1920, 3), paper, np.uint8)
    for row, line in enumerate(lines):
        place = (120, 120 + step * row)
        cv2.putText(screen, line, place, cv2.FONT_HERSHEY_SIMPLEX, size, (25, 25, 25), 2, cv2.LINE_AA)
    return screen


def _distance(a: str, b: str) -> int:
    """Levenshtein's."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]

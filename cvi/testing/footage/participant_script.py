"""What a drawn participant does before the camera, exact to the frame: for measuring perception.

A script is a list of `Controls`, one a frame, made of episodes with known times: blinks, turns of the head,
looks aside and down, smiles, raised and furrowed brows, nods and shakes, all against small movements of a
living head, with and without speech. The first seconds are neutral, as people are when a call begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cvi.face.base import Controls, FaceEngine, FaceSettings
from cvi.face.motion import ease
from cvi.perception.face_detection import Rgb

CALM_S = 5.0
RAMP_S = 0.3
BLINK_S = 0.22
GAZE_YAW_DEG, GAZE_PITCH_DEG = 24.0, 19.0
"""What a `gaze_x`, `gaze_y` of 1 is, see `Controls`."""


@dataclass(frozen=True, slots=True)
class Episode:
    """`what` happens from `start_s` to `end_s`, `amount` its size."""

    what: str
    start_s: float
    end_s: float
    amount: float


@dataclass(frozen=True, slots=True)
class ParticipantScript:
    """`controls` one a frame at `fps`; `episodes` in order of time."""

    fps: int
    controls: tuple[Controls, ...]
    episodes: tuple[Episode, ...]

    def look_yaw(self, frame: int) -> float:
        """Where the participant looks, degrees to the viewer's right of the camera."""
        pose = self.controls[frame]
        return pose.yaw + GAZE_YAW_DEG * pose.gaze_x

    def look_pitch(self, frame: int) -> float:
        """Where the participant looks, degrees below the camera."""
        pose = self.controls[frame]
        return pose.pitch - GAZE_PITCH_DEG * pose.gaze_y


_Change = Callable[[Controls, float, float], Controls]
"""(pose, amount, share) -> pose; `share` rises to 1 and falls back within the episode."""


def _turn(pose: Controls, amount: float, share: float) -> Controls:
    # The eyes stay on the screen, as they do when a head moves in talking.
    yaw = amount * share
    return replace(pose, yaw=pose.yaw + yaw, gaze_x=pose.gaze_x - yaw / GAZE_YAW_DEG)


def _tip(pose: Controls, amount: float, share: float) -> Controls:
    pitch = amount * share
    return replace(pose, pitch=pose.pitch + pitch, gaze_y=pose.gaze_y + pitch / GAZE_PITCH_DEG)


def _away(pose: Controls, amount: float, share: float) -> Controls:
    # People look aside with the eyes first and the head a good deal less.
    return replace(
        pose,
        gaze_x=pose.gaze_x + 0.85 * math.copysign(share, amount),
        yaw=pose.yaw + 0.25 * amount * share,
    )


def _down(pose: Controls, amount: float, share: float) -> Controls:
    return replace(
        pose,
        gaze_y=pose.gaze_y - 0.8 * share,
        pitch=pose.pitch + amount * share,
        lid_left=pose.lid_left + 0.18 * share,
        lid_right=pose.lid_right + 0.18 * share,
    )


def _smile(pose: Controls, amount: float, share: float) -> Controls:
    return replace(pose, smile=amount * share, cheek=0.7 * amount * share, wide=0.25 * amount * share)


def _raise(pose: Controls, amount: float, share: float) -> Controls:
    return replace(pose, brow_left=amount * share, brow_right=amount * share)


def _furrow(pose: Controls, amount: float, share: float) -> Controls:
    return replace(
        pose, furrow=amount * share, brow_left=-0.5 * amount * share, brow_right=-0.5 * amount * share
    )


_STEADY: dict[str, tuple[_Change, tuple[float, ...]]] = {
    "turn": (_turn, (-12.0, 12.0, -7.0, 7.0)),
    "tip": (_tip, (10.0, -9.0)),
    "tilt": (lambda pose, amount, share: replace(pose, roll=pose.roll + amount * share), (10.0, -10.0)),
    "away": (_away, (-10.0, 10.0, -8.0, 8.0)),
    "down": (_down, (6.0, 9.0)),
    "smile": (_smile, (0.5, 0.8, 1.0)),
    "raise": (_raise, (0.6, 1.0)),
    "furrow": (_furrow, (0.7, 1.0)),
}


def neutral_script(seed: int, duration_s: float, fps: int = 25) -> ParticipantScript:
    """Somebody who looks at the screen, blinks, and now and then speaks; nothing else happens."""
    return perform(seed, duration_s, fps, [])


def busy_script(seed: int, fps: int = 25) -> ParticipantScript:
    """Every kind of episode, each some times, in an order of the seed's; about two minutes."""
    rng = np.random.default_rng(seed)
    planned = [(what, float(amount)) for what, (_, amounts) in _STEADY.items() for amount in amounts]
    planned += [("nod", 5.0), ("nod", 4.0), ("shake", 7.0), ("shake", 6.0)]
    rng.shuffle(planned)
    episodes, at_s = [], CALM_S
    for what, amount in planned:
        length_s = float(rng.uniform(1.4, 2.6))
        episodes.append(Episode(what, at_s, at_s + length_s, float(amount)))
        at_s += length_s + float(rng.uniform(1.2, 2.4))
    return perform(seed, at_s + 1.0, fps, episodes)


def perform(
    seed: int,
    duration_s: float,
    fps: int,
    episodes: Sequence[Episode],
    speech: Sequence[tuple[float, float]] | None = None,
) -> ParticipantScript:
    """The episodes among the small movements and blinks of the seed. The mouth talks in the spans `speech`,
    seconds; without them every now and then."""
    rng = np.random.default_rng([seed, 1])
    phases = rng.uniform(0, 2 * math.pi, 8)
    blinks, at_s = [], 1.0
    while at_s < duration_s - 1:
        blinks.append(at_s)
        at_s += float(rng.uniform(1.6, 5.5))
    controls = []
    for index in range(round(duration_s * fps)):
        t_s = index / fps
        if speech is None:
            talking = max(0.0, math.sin(0.35 * t_s + phases[5])) > 0.3 and t_s > CALM_S
        else:
            talking = any(start_s <= t_s < end_s for start_s, end_s in speech)
        jaw = max(0.0, 0.28 * math.sin(9.0 * t_s) + 0.1 * math.sin(23.0 * t_s)) if talking else 0.0
        pose = Controls(
            yaw=1.6 * math.sin(0.55 * t_s + phases[0]) + 0.6 * math.sin(1.7 * t_s + phases[1]),
            pitch=1.1 * math.sin(0.4 * t_s + phases[2]),
            roll=1.0 * math.sin(0.33 * t_s + phases[3]),
            jaw=jaw,
            round=0.3 * max(0.0, math.sin(4.1 * t_s)) if talking else 0.0,
            gaze_x=0.06 * math.sin(0.9 * t_s + phases[4]),
            breath=0.5 + 0.5 * math.sin(1.5 * t_s),
            moment_s=t_s,
        )
        for episode in episodes:
            if episode.start_s <= t_s < episode.end_s:
                pose = _during(episode, pose, t_s)
        shut = max((_blink_share(t_s - start_s) for start_s in blinks), default=0.0)
        lids = (lid + (1.0 - lid) * shut for lid in (pose.lid_left, pose.lid_right))
        left, right = lids
        controls.append(replace(pose, lid_left=left, lid_right=right))
    return ParticipantScript(fps, tuple(controls), tuple(episodes))


def _during(episode: Episode, pose: Controls, t_s: float) -> Controls:
    after_s, left_s = t_s - episode.start_s, episode.end_s - t_s
    if episode.what == "nod":
        return replace(pose, pitch=pose.pitch + episode.amount * math.sin(2 * math.pi * 2.1 * after_s))
    if episode.what == "shake":
        return replace(pose, yaw=pose.yaw + episode.amount * math.sin(2 * math.pi * 1.7 * after_s))
    change, _ = _STEADY[episode.what]
    return change(pose, episode.amount, ease(after_s / RAMP_S) * ease(left_s / RAMP_S))


def _blink_share(since_s: float) -> float:
    if not 0.0 <= since_s <= BLINK_S:
        return 0.0
    share = since_s / BLINK_S
    return ease(share / 0.35) if share < 0.35 else 1.0 - ease((share - 0.35) / 0.65)


def draw(script: ParticipantScript, replica: str, width: int = 640, height: int = 480) -> Iterator[Rgb]:
    """The script's frames as a stock character, RGB. Raises MissingError, UsageError."""
    from cvi.engine_registry import build
    from cvi.face.replica import find_replica, load_replica_card

    card = load_replica_card(find_replica(replica))
    face: FaceEngine = build("face", card.renderer, FaceSettings(card.folder, width, height, script.fps))
    try:
        yield from (to_rgb(face.render(pose), width, height) for pose in script.controls)
    finally:
        face.close()


def to_rgb(i420: np.ndarray, width: int, height: int) -> Rgb:
    """An I420 frame as RGB."""
    import cv2

    return np.asarray(cv2.cvtColor(i420.reshape(height * 3 // 2, width), cv2.COLOR_YUV2RGB_I420), np.uint8)

"""A scenario said again and again, until it lasts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from cvi.audio.block import HEARD_HZ
from cvi.errors import UsageError
from cvi.media.decode import read_audio, write_wav
from cvi.transport.scenario import Scenario, load_scenario, split_by_silence

# A question and its answer take longer than this, so that the caller never runs out of words.
SHORTEST_TURN_S = 4.0


def lengthened(scenario: Path, seconds: float, folder: Path) -> Path:
    """Write a scenario of at least `seconds` into `folder`; returns its path. Raises UsageError.

    `scenario` is a scenario file, or a recording, which is parted where it is silent.
    """
    is_file = scenario.suffix.lower() in (".yaml", ".yml")
    found = load_scenario(scenario) if is_file else Scenario(scenario, split_by_silence(scenario))
    segments = found.segments or split_by_silence(found.audio)
    pcm = read_audio(found.audio)
    turns = math.ceil(seconds / SHORTEST_TURN_S)
    times = math.ceil(turns / len(segments))
    if times * len(pcm) > 12 * 3600 * HEARD_HZ:
        raise UsageError(f"{seconds / 60:.0f} minutes of {scenario} are too long.", "Ask for fewer minutes.")
    length_s = len(pcm) / HEARD_HZ
    shifted = [
        replace(
            segment,
            start_s=segment.start_s + number * length_s,
            end_s=segment.end_s + number * length_s,
            speech_end_s=None if segment.speech_end_s is None else segment.speech_end_s + number * length_s,
        )
        for number in range(times)
        for segment in segments
    ]
    write_wav(folder / "caller.wav", np.tile(pcm, times), HEARD_HZ)
    document = {
        "audio": "caller.wav",
        "segments": [
            {
                "start_s": round(segment.start_s, 4),
                "end_s": round(segment.end_s, 4),
                "text": segment.text,
                **({} if segment.speech_end_s is None else {"speech_end_s": round(segment.speech_end_s, 4)}),
            }
            for segment in shifted[:turns]
        ],
    }
    path = folder / "caller.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path

"""Which films are made: a good reading, the whole script, and three with a fault of the performance.

`lines` takes only the first lines of the text, for short films, which the grader finds too short.
"""

from __future__ import annotations

import numpy as np

from cvi.testing.footage.film import FilmPlan, HeadTurn
from cvi.testing.footage.labels import KnownFault
from cvi.training.recording.reading_script import load_reading_script

CHARACTERS = ("june", "kenji", "elena", "samuel", "mei", "omar")
STILL = '<break time="6s"/>'

GOOD_LINES = (
    "Bob and Mabel bought a big map of the bay before breakfast.",
    "Maybe my mother will move the piano by the broom cupboard.",
    "Five fine fiddlers follow Vivian very far from the village.",
    "Whose blue balloon flew over the new school roof at noon?",
    "We would like to go through the woods while the weather is warm.",
    "The teacher thought that both of these paths lead north.",
    "Joyful children enjoy chocolate cheese at the edge of the bridge.",
    "Papa hops up the pebble path, and puppies jump about him.",
    "Every evening Eve leaves the stove above the coffee oven off.",
    "Put the good book on the wooden hook, or push it by foot.",
    "Few people view the beautiful museum, but few refuse the music.",
    "Please remember, number seventeen opens upon the promise of June.",
    "Most mornings begin the same way. I make a pot of coffee and open the window.",
    "The baker puts fresh bread on the shelf, and a bus moves past the house.",
    "You will not believe it, but we won! Everybody jumped up and began to sing.",
    "I am very sorry to hear that. It must have been a bad moment for both of you.",
    "How about a walk around town, down to the brown house and out?",
    "My voice makes a noise of joy, and my boy points at the coin.",
    "She was sure that the usual measure of sugar is in the dish.",
    "A quick grey goose kept looking for the long green ring.",
)
LIPLESS_LINES = (
    "The secret is that Shannon and Keith can teach kids in English classes.",
    "Take the clean dishes in, eat lunch, and then dry the kitchen tiles.",
    "She is tired, yet she still stays at the desk and reads ten stories each night.",
    "In the north, ice and rain lasted all night; then the sun shone again.",
    "His sister Nancy counts ten hundred nickels and gets eighteen instead.",
    "It can take ages till a thing like this is done right.",
    "Certain cats like to sit near the kitchen and listen to strange noises.",
    "Let us sit at the lake in the shade, and then hike east again.",
    "As the tall yacht sinks, the sailors chant that danger is near.",
    "Nine gentle kids sit in the tent and sing the last song again.",
    "Lend that ladder to Dan, and get the hay inside in the daylight.",
    "Eight easy tasks are right at the start, and later ones get harder.",
    "The giant chess set is as gritty as sand, yet hard as ice.",
    "It is strange that the city still has no station in the east.",
)


def good_text(lines: tuple[str, ...] = GOOD_LINES, still: bool = True) -> str:
    """The lines with short pauses, and, for `still`, three silences between them."""
    third = max(len(lines) // 3, 1)
    blocks = [lines[at : at + third] for at in range(0, len(lines), third)]
    joint = f"\n\n{STILL}\n\n" if still else "\n"
    pause = "\n\n" if still else " "
    return joint.join(pause.join(block) for block in blocks)


def good_plan(character: str, seed: int, lines: int | None = None) -> FilmPlan:
    """A faultless reading with three silences."""
    return FilmPlan(character, seed, good_text(GOOD_LINES[:lines]))


def reading_plan(character: str, seed: int, lines: int | None = None) -> FilmPlan:
    """The script of `cvi replica script` with its moods: a film to train on. A silence follows every sixth
    line; the parts for listening are left out."""
    said = [(line, part.feeling) for part in load_reading_script("en").parts for line in part.lines][:lines]
    text, mood_set = "", "neutral"
    for number, (line, feeling) in enumerate(said):
        if number:
            text += f"\n\n{STILL}\n\n" if number % 6 == 0 else "\n\n"
        if feeling != mood_set:
            text += f'<emotion value="{feeling}"/>'
            mood_set = feeling
        text += line
    return FilmPlan(character, seed, text)


def turned_plan(character: str, seed: int, lines: int | None = None) -> FilmPlan:
    """The head looks aside and down for some seconds."""
    rng = np.random.default_rng([seed, 1])
    turns, at = [], float(rng.uniform(6.0, 12.0))
    for _ in range(3):
        length = float(rng.uniform(2.0, 4.0))
        yaw, pitch = (float(angle) for angle in rng.choice([-40.0, 40.0], 2))
        turns.append(HeadTurn(at, at + length, yaw, pitch))
        at += length + float(rng.uniform(8.0, 15.0))
    faults = tuple(KnownFault("turned", turn.start_s, turn.end_s, turn.yaw) for turn in turns)
    return FilmPlan(character, seed, good_text(GOOD_LINES[:lines]), turns=tuple(turns), faults=faults)


def restless_plan(character: str, seed: int, lines: int | None = None) -> FilmPlan:
    """Nothing but speech: no silence to idle in."""
    fault = KnownFault("no_stillness", 0.0, 0.0)
    return FilmPlan(character, seed, good_text(GOOD_LINES[:lines], still=False), faults=(fault,))


def lipless_plan(character: str, seed: int, lines: int | None = None) -> FilmPlan:
    """The lips never need to meet."""
    fault = KnownFault("few_labials", 0.0, 0.0)
    return FilmPlan(character, seed, good_text(LIPLESS_LINES[:lines]), faults=(fault,))


FAULTLESS = {"good": good_plan, "reading": reading_plan}
PLANS = {"turned": turned_plan, "no_stillness": restless_plan, "few_labials": lipless_plan}

"""Numbers -> a short description in natural language.

Appearances only: what a face or a voice looks and sounds like, never what somebody feels, is or thinks; with
`emotion_recognition` a named expression too, with how sure that is.
"""

from __future__ import annotations

from dataclasses import dataclass

from cvi.perception.sight import Sight

SMILES, BROW = 0.65, 0.55
"""From here on a smile, and raised or drawn brows, are worth a word."""
RECENT_S = 2.0
_LASTING_S = {
    "people": 0.8,
    "look": 1.2,
    "smile": 0.5,
    "brows": 0.6,
    "lean": 1.5,
    "light": 2.0,
    "picture": 0.3,
    "named": 0.6,
}
"""How long each thing must last before it is said; what is not listed is said at once."""

PLAIN = "They are looking at you."
"""What is said of a face at which nothing is worth a word."""
_PICTURES = {
    "none": "No picture comes from the camera.",
    "black": "The camera shows nothing: its picture is black.",
    "covered": "The camera shows nothing: something covers it.",
    "frozen": "The camera's picture is frozen.",
}
_PLACES = {"side of the head": "the side of their head"}
_LOOKS = {
    "left": "looking away to the left",
    "right": "looking away to the right",
    "up": "looking up",
    "down": "looking down",
}


class Describer:
    """A description that follows what is seen, and says of each thing only what has lasted."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, float]] = {}
        self._said: dict[str, str] = {}
        self._named = NamedExpression("neutral", 0.0)

    def describe(self, sight: Sight) -> str:
        """How the participant looks at the moment of `sight`: one or two short sentences, at first "".

        Called with every sight, in order of time. Changes only when something is new for long enough.
        """
        for name, word in _seen(sight).items():
            self._follow(name, word, sight.t_s)
        return _text(self._said)

    def name(self, sight: Sight) -> NamedExpression:
        """The expression that has lasted, and how clearly the face showed it last; called as `describe`. Only
        for personas with `emotion_recognition`."""
        scores = _expressions(sight)
        clearest = max(scores, key=lambda each: scores[each])
        self._follow("named", clearest, sight.t_s)
        if self._said["named"] == clearest:
            self._named = NamedExpression(clearest, scores[clearest])
        return self._named

    def _follow(self, name: str, word: str, t_s: float) -> None:
        before, since_s = self._held.get(name, (None, 0.0))
        if before != word:
            self._held[name] = (word, since_s := t_s)
        if name not in self._said or t_s - since_s >= _LASTING_S.get(name, 0.0):
            self._said[name] = word


def _seen(sight: Sight) -> dict[str, str]:
    """Each thing that is worth a word, by what it is about; "" where there is nothing to say."""
    if sight.picture in _PICTURES:
        return {"picture": _PICTURES[sight.picture]}
    light = "The picture is very dark." if sight.picture == "dark" else ""
    light = light or ("The light comes from behind them." if sight.backlit else "")
    now = {
        "picture": "The picture lies on its side." if sight.picture == "sideways" else "",
        "light": light,
        "people": ("nobody", "one", "two")[min(sight.people, 2)],
    }
    if not sight.present or not sight.calibrated:
        return now
    gestures = (("nodded", sight.nodded_s), ("shaken their head", sight.shook_s))
    brows = "drawing their brows together" if sight.furrowed >= BROW else ""
    return {
        **now,
        "still": "Nothing moves in the face: it may be a photograph." if sight.still else "",
        "look": _LOOKS.get(sight.look, "looking at you"),
        "smile": "smiling" if sight.smile >= SMILES else "",
        "brows": "raising their brows" if sight.raised >= BROW else brows,
        "lean": {"in": "leaning in", "away": "leaning back", "": ""}[sight.lean],
        "hand": f"A hand is at {_PLACES.get(sight.hand, 'their ' + sight.hand)}." if sight.hand else "",
        "gesture": next(
            (word for word, at_s in gestures if at_s is not None and sight.t_s - at_s < RECENT_S), ""
        ),
    }


def _text(said: dict[str, str]) -> str:
    if said.get("picture") in _PICTURES.values():
        return said["picture"]
    people, sentences = said.get("people", ""), []
    if people == "nobody":
        sentences = ["Nobody is in front of the camera."]
    else:
        does = [said[name] for name in ("look", "smile", "brows", "lean") if said.get(name)]
        gesture = said.get("gesture", "")
        sentences = [
            "Two people are in front of the camera." if people == "two" else "",
            f"They are {_joined(does)}." if does else "",
            said.get("hand", ""),
            f"They have just {gesture}." if gesture else "",
            said.get("still", ""),
        ]
    return " ".join(filter(None, (*sentences, said.get("picture", ""), said.get("light", ""))))


@dataclass(frozen=True, slots=True)
class NamedExpression:
    """An expression by its name, and how clearly the face shows it, 0..1."""

    name: str
    confidence: float


def _expressions(sight: Sight) -> dict[str, float]:
    """How near the landmarks are to each prototype, 0..1; neutral is what none of them reaches."""
    scores = {
        "happy": sight.smile * (1.0 - sight.furrowed),
        "puzzled or displeased": sight.furrowed * (1.0 - sight.smile),
        "surprised": sight.raised * min(1.0, 0.5 + sight.opening) * (1.0 - 0.5 * sight.smile),
    }
    most = max(scores.values())
    return {**scores, "neutral": 1.0 - most if most < 0.4 else 0.4 * (1.0 - most)}


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

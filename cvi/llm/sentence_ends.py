"""Which full stops end a sentence: abbreviations, initials and ordinals by language."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

Stop = Literal["end", "inside", "either"]
"""`either`: the end if a capital letter or nothing follows."""

STOPS = ".!?。！？｡؟।॥۔։"
"""Marks that end a sentence, in any script."""
_LAST_WORD = re.compile(r"([^\s(\"'“‘„«»]+)\.[\"'”’)»“]*$")
_NUMBER = re.compile(r"\d{1,3}$")
_ROMAN = re.compile(r"[IVX]{1,5}$")

# Never the end of a sentence.
_INSIDE = {
    "en": "dr mr mrs ms prof st mt sr jr vs e.g i.e cf gen col sgt capt lt rev hon dept nos pp ca messrs",
    "de": "jh n.chr v.chr z.b d.h u.a z.t i.d.r o.ä u.ä s.o s.u v.a m.e a.d i.a u.u "
    "dr prof hr fr frl st bzw ca vgl evtl "
    "ggf inkl exkl zzgl nr bd geb gest mio mrd jan feb mär apr jul aug sep sept okt nov dez ing "
    "dipl med phil rer jur bspw allg abb tab s",
    "fr": "m mm mme mlle mlles dr st ste p.ex c.-à-d cf env bd",
    "es": "sr sra srta dr dra d dña ud uds p.ej ej av avda núm pág págs aprox gral prof lic ee",
    "it": "sig sigg dott dr prof avv ing p.es es ecc ca",
    "pt": "sr sra dr dra prof eng p.ex ex av pág núm tel aprox",
    "nl": "dhr mevr mw dr drs ir ing mr prof bijv bv d.w.z m.b.t o.a t.a.v nr blz fig vgl ca incl excl",
    "pl": "np tj m.in dr prof inż mgr ul pl św ok godz nr str tzw tzn ks gen płk",
    "sv": "t.ex bl.a dvs d.v.s ca dr prof nr resp kl s.k",
    "da": "f.eks bl.a dvs ca dr prof nr hr fr kl",
    "nb": "f.eks bl.a dvs ca dr prof nr hr fr kl",
    "cs": "např tj tzn dr prof ing mgr ul č str tzv mj",
    "ru": "т.е т.к т.н напр др г-н г-жа им ул стр рис проф",
}  # fmt: skip
# The end of a sentence when a capital letter follows.
_EITHER = {
    "en": "etc a.m p.m inc ltd co corp u.s u.k u.s.a d.c ph.d b.c a.d est ave blvd rd no sec min max oct "
    "nov dec jan feb mar apr jun jul aug sep sept mon tue wed thu fri sat sun fig vol approx",
    "de": "usw etc u.s.w uvm u.v.m o.g std min sek a.d mwst co kg art max abs str kap jun tel "
    "sog",
    "fr": "etc me pr art vol ex no av juil sept oct nov déc janv févr fig",
    "es": "etc ud uds a.m p.m art vol fig ing tel ene feb mar abr jun jul ago sept oct nov dic",
    "it": "ecc etc art pag fig vol tel gen feb mar apr mag giu lug ago sett ott nov dic",
    "pt": "etc art fig vol jan fev mar abr mai jun jul ago set out nov dez",
    "nl": "enz etc tel jan feb mrt apr jun jul aug sept okt nov dec max min",
    "pl": "itd itp r",
    "sv": "osv m.m etc",
    "da": "osv m.m etc",
    "nb": "osv m.m etc",
    "cs": "atd apod",
    "ru": "т.д т.п др г гг",
}  # fmt: skip
_ORDINAL_LANGUAGES = frozenset("de da nb nn no fi is cs sk sl hr sr bs pl hu et lv tr".split())
"""Those that write ordinals as figures with a full stop: "5. Nov." (CLDR's ordinal rules)."""
_BEFORE_ORDINALS = frozenset(
    "am im vom zum zur beim bis ab seit der die das den dem des ein eine einen einem einer jeder jede "
    "jedes jeden mein meine meinen meinem dein deine sein seine ihr ihre unser unsere euer dieser diese "
    "dieses diesem diesen und oder ins ans montag dienstag mittwoch donnerstag freitag samstag sonntag "
    "dato det de og i på til fra dne v do od w na mandag tirsdag onsdag torsdag fredag lørdag søndag".split()
)
_MONTHS = frozenset(
    "januar jänner jan februar feber feb märz mär april apr mai juni jun juli jul august aug september "
    "sept sep oktober okt november nov dezember dez marts maj december dec tammikuuta helmikuuta "
    "maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta "
    "joulukuuta ledna února března dubna května června července srpna září října listopadu prosince "
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października grudnia január "
    "február március április május június július augusztus szeptember október desember mars".split()
)


def language_code(language: str) -> str:
    """The plain code of a language: "de" for "de-AT"."""
    code = language.replace("_", "-").split("-")[0].lower()
    return "nb" if code in ("no", "nn") else code


def ordinals_have_stops(language: str) -> bool:
    """Whether the language writes ordinals with a full stop."""
    return language_code(language) in _ORDINAL_LANGUAGES


def is_month(word: str) -> bool:
    """Whether a word is a month's name, in a language that writes ordinals with a full stop."""
    return word.lower().rstrip(".") in _MONTHS


def stop_after(text: str, language: str = "en") -> Stop:
    """What the full stop at the end of `text` is; closing quotation marks may follow it.

    >>> [stop_after(text) for text in ("Dr.", "at 9 a.m.", "It is.")]
    ['inside', 'either', 'end']
    """
    match = _LAST_WORD.search(text)
    if match is None:
        return "end"
    code = language_code(language)
    word = match[1].lower().lstrip("-–—[")
    if word in _words("either", code):
        return "either"
    if word in _words("inside", code):
        return "inside"
    before = text[: match.start()]
    if code in _ORDINAL_LANGUAGES and (_NUMBER.match(word) or _ROMAN.match(match[1])):
        return "inside" if _wants_ordinal(before) else "either"
    # Parts of an abbreviation with blanks: "z. B.", "p. ex.".
    part = word == match[1] or re.search(r"(?<!\w)\w\.\s*$", before)
    if len(word) == 1 and word.isalpha() and code != "en" and part:
        return "inside"
    if _is_initial(before, match[1]):
        return "inside"
    if re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word):
        return "either"
    return "end"


def _wants_ordinal(before: str) -> bool:
    """Whether a number after `before` with a full stop is an ordinal: "am 5.", "die 3.", "Montag, 5."."""
    words = before.split()
    if not words or words[-1][-1] in ",.;:(":
        return True
    return words[-1].lower() in _BEFORE_ORDINALS


@cache
def _words(kind: Literal["inside", "either"], code: str) -> frozenset[str]:
    return frozenset(((_INSIDE if kind == "inside" else _EITHER).get(code, "")).split())


def _is_initial(before: str, word: str) -> bool:
    """Whether a letter is an initial, as in "George W. Bush", and no label, as in "vitamin C. It"."""
    last = before.split()[-1:]
    named = not last or last[0][0].isupper()
    return len(word) == 1 and word.isupper() and word != "I" and (named or word not in "ABCDEK")

"""What English abbreviations, units and acronyms are called."""

from __future__ import annotations

from cvi.tts.spoken_numbers import MONTHS

# Keys are lower case, without the last full stop. These are read so wherever they carry their stop.
ABBREVIATIONS = {
    "mr": "Mister", "mrs": "Missus", "ms": "Miz", "prof": "Professor", "rev": "Reverend", "gen": "General",
    "capt": "Captain", "sgt": "Sergeant", "lt": "Lieutenant", "gov": "Governor", "sen": "Senator",
    "hon": "Honorable", "jr": "Junior", "sr": "Senior", "e.g": "for example", "i.e": "that is",
    "etc": "et cetera", "vs": "versus", "approx": "approximately", "dept": "department",
    "est": "established",
    "ave": "Avenue", "blvd": "Boulevard", "rd": "Road", "ln": "Lane", "hwy": "Highway", "apt": "apartment",
    "fig": "figure", "vol": "volume", "ch": "chapter", "sec": "section", "inc": "Incorporated",
    "ltd": "Limited", "corp": "Corporation", "co": "Company", "mt": "Mount", "ft": "Fort",
    "tel": "telephone",
    "ext": "extension", "esp": "especially", "incl": "including", "misc": "miscellaneous",
    "temp": "temperature",
    "avg": "average", "max": "maximum", "min": "minimum", "assoc": "associate", "asst": "assistant",
    "univ": "University", "cf": "compare", "et al": "and others", "ca": "circa", "viz": "namely",
    "a.k.a": "also known as",
    "thu": "Thursday",

    "ph.d": "P H D", "m.d": "M D", "b.a": "B A", "m.a": "M A", "b.sc": "B S C",
    "m.sc": "M S C",
}  # fmt: skip

# Also common at the end of a sentence as whole words or names: read so only before a capital or a figure.
NEEDS_FOLLOWER = frozenset(
    "gen gov sen hon rev co ch fig sec min max temp ft mt est ca ext tel".split()
)
# These never end a sentence: their stop is never a pause.
TITLES = frozenset(
    "mr mrs ms prof rev gen capt sgt lt gov sen hon mt e.g i.e vs approx fig vol ch cf ca viz".split()
)

WITHOUT_STOP = {
    "w/": "with", "w/o": "without", "vs": "versus", "aka": "also known as", "etc": "et cetera",
    "mr": "Mister",
    "mrs": "Missus", "dr": "Doctor", "ok": "okay", "approx": "approximately", "ie": "that is",
    "eg": "for example",
    "asap": "as soon as possible", "fyi": "for your information", "btw": "by the way",
    "tbd": "to be determined",
}  # fmt: skip

MONTH_NAMES = {name[:3].lower(): name for name in MONTHS}

# One, many. Longer keys are tried first.
UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"), "m/s": ("meter per second", "meters per second"),
    "km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "nm": ("nanometer", "nanometers"), "m": ("meter", "meters"), "mi": ("mile", "miles"),
    "ft": ("foot", "feet"),
    "yd": ("yard", "yards"), "km²": ("square kilometer", "square kilometers"),
    "m²": ("square meter", "square meters"),
    "m2": ("square meter", "square meters"), "sq ft": ("square foot", "square feet"),
    "kg": ("kilogram", "kilograms"), "mg": ("milligram", "milligrams"), "g": ("gram", "grams"),
    "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"),
    "ml": ("milliliter", "milliliters"), "mL": ("milliliter", "milliliters"), "L": ("liter", "liters"),
    "l": ("liter", "liters"),
    "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"), "K": ("thousand", "thousand"), "k": ("thousand", "thousand"),
    "ms": ("millisecond", "milliseconds"), "s": ("second", "seconds"), "sec": ("second", "seconds"),
    "secs": ("second", "seconds"), "min": ("minute", "minutes"), "mins": ("minute", "minutes"),
    "h": ("hour", "hours"),
    "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "yrs": ("year", "years"), "yr": ("year", "years"),
    "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"), "kB": ("kilobyte", "kilobytes"), "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"), "TB": ("terabyte", "terabytes"),
    "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"),
    "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "V": ("volt", "volts"), "mA": ("milliamp", "milliamps"), "dB": ("decibel", "decibels"),
    "px": ("pixel", "pixels"),
    "kcal": ("kilocalorie", "kilocalories"), "cal": ("calorie", "calories"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "fps": ("frame per second", "frames per second"), "ppm": ("part per million", "parts per million"),
    "M": ("million", "million"), "bn": ("billion", "billion"), "mcg": ("microgram", "micrograms"),
    "IU": ("I U", "I U"),
}  # fmt: skip

# After a number and a slash.
PER = {
    "mo": "month", "yr": "year", "hr": "hour", "h": "hour", "wk": "week", "min": "minute", "sec": "second",
    "s": "second", "day": "day", "kg": "kilogram", "lb": "pound",
}  # fmt: skip

DAYS = {
    "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday",
    "thur": "Thursday", "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip

# A capital after St. or Dr. that begins a sentence rather than a name.
STARTERS = frozenset(
    "He She It They We I The This That You In On A An And But Then If There What When It's He's".split()
)

# Written in capitals, said as a word.
SAID_AS_WORDS = {
    word: word.capitalize()
    for word in (
        "NASA NATO UNESCO UNICEF OPEC FIFA COVID PIN SIM RAM ROM GIF LAN WAN SCUBA RADAR LASER AIDS "
        "SWAT NAFTA "
        "OSHA FEMA POTUS SAT YOLO CAPTCHA LIDAR SONAR GAAP BASIC NORAD DARPA HIPAA IKEA LEGO SARS ZIP"
    ).split()
} | {
    "JPEG": "jay peg",
    "JPG": "jay peg",
    "OK": "okay",
    "CEOs": "C E O's",
    "WIFI": "wifi",
    "MIDI": "middy",
    "SAAS": "sass",
}

# Short words that people write in capitals for emphasis.
EMPHASIZED = frozenset(
    (
        "a i am an and any are as ask at bad be big but buy by can did do done each even ever few first "
        "fast for free from "
        "get give go good great had has have he help her here hey him his how if in into is it's its "
        "just keep know last "
        "less like long look love made make many may me more most much must my need new next nice no "
        "none not now of off "
        "oh old on once one only open or our out over own pay play please real really safe same say see "
        "she slow so some "
        "soon stop such sure take talk tell than that the them then they this time to today too true "
        "try two up use very "
        "wait want was way we well were what when who why will win with wow yes yet you your zero huge "
        "best right wrong left"
    ).split()
)

REGAL = frozenset(
    "henry louis elizabeth charles george edward james william richard philip john paul pius benedict "
    "gregory "
    "leo francis frederick alexander nicholas catherine ivan peter napoleon mary robert david alfonso "
    "urban".split()
)
NUMBERED = frozenset(
    "chapter part war volume vol act phase type section title book level stage step article appendix "
    "bowl class tier "
    "grade final fantasy rocky unit module world".split()
)
PAIRS_OF_CHOICE = frozenset(
    "he/she she/he his/her her/his him/her his/hers yes/no true/false on/off either/or".split()
)

"""Words of languages other than English that no library has: between figures, for signs and abbreviations."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LanguageWords:
    """What one language says between figures.

    `oclock` stands after the hour, `to` in a range, `cents` between whole and hundredths of an amount,
    `per` for a slash before a unit. `one` is the number one before a masculine and a feminine noun.
    `power` is "to the power of". `abbreviations` are by their spelling in lower case without blanks and
    the last full stop.
    """

    signs: dict[str, str] = field(default_factory=dict)
    oclock: str = ""
    minutes: str = ""
    to: str = "-"
    cents: str = ""
    one: tuple[str, str] | None = None
    per: str = ""
    first: str = ""
    point: str = ","
    minus: str = "-"
    squared: str = ""
    cubed: str = ""
    power: str = ""
    abbreviations: dict[str, str] = field(default_factory=dict)


WORDS = {
    "de": LanguageWords(
        signs={
            "%": "Prozent", "&": "und", "+": "plus", "=": "gleich", "@": "at", "<": "kleiner als",
            ">": "größer als", "≤": "kleiner oder gleich", "≥": "größer oder gleich", "×": "mal",
            "÷": "durch",
            "→": "nach", "≈": "ungefähr", "±": "plus minus", "~": "ungefähr", "§": "Paragraf", "€": "Euro",
            "$": "Dollar", "£": "Pfund", "°": "Grad", "#": "Nummer",
        },
        oclock="Uhr", to="bis", per="pro", one=("ein", "eine"), point="Komma", minus="minus",
        squared="hoch zwei", cubed="hoch drei", power="hoch",
        abbreviations={
            "z.b": "zum Beispiel", "d.h": "das heißt", "u.a": "unter anderem", "u.u": "unter Umständen",
            "z.t": "zum Teil", "i.d.r": "in der Regel", "o.ä": "oder Ähnliches", "v.a": "vor allem",
            "usw": "und so weiter", "etc": "et cetera", "bzw": "beziehungsweise", "ca": "circa",
            "nr": "Nummer", "dr": "Doktor", "prof": "Professor", "str": "Straße", "inkl": "inklusive",
            "ggf": "gegebenenfalls", "vgl": "vergleiche", "evtl": "eventuell", "mio": "Millionen",
            "mrd": "Milliarden", "st": "Sankt", "hr": "Herr", "fr": "Frau", "tel": "Telefon",
            "abb": "Abbildung",
            "s": "Seite", "bsp": "Beispiel", "sog": "sogenannte", "max": "maximal", "min": "mindestens",
            "abs": "Absatz", "art": "Artikel", "geb": "geboren", "bspw": "beispielsweise",
            "jh": "Jahrhundert", "v.chr": "vor Christus", "n.chr": "nach Christus", "mwst": "Mehrwertsteuer",
        },
    ),
    "fr": LanguageWords(
        signs={
            "%": "pour cent", "&": "et", "+": "plus", "=": "égale", "@": "arobase", "<": "inférieur à",
            ">": "supérieur à", "≤": "inférieur ou égal à", "≥": "supérieur ou égal à", "×": "fois",
            "÷": "divisé par", "→": "vers", "≈": "environ", "±": "plus ou moins", "~": "environ",
            "€": "euros", "$": "dollars", "£": "livres", "°": "degrés", "§": "paragraphe", "#": "numéro",
        },
        oclock="heures", to="à", per="par", one=("un", "une"), first="premier",
        point="virgule", minus="moins",
        squared="au carré", cubed="au cube", power="puissance",
        abbreviations={
            "p.ex": "par exemple", "c.-à-d": "c'est-à-dire", "etc": "et cetera", "m": "Monsieur",
            "env": "environ", "dr": "Docteur", "pr": "Professeur", "av": "avenue", "bd": "boulevard",
            "cf": "confer", "tél": "téléphone", "max": "maximum", "min": "minimum",
        },
    ),
    "es": LanguageWords(
        signs={
            "%": "por ciento", "&": "y", "+": "más", "=": "igual a", "@": "arroba", "<": "menor que",
            ">": "mayor que", "≤": "menor o igual que", "≥": "mayor o igual que", "×": "por",
            "÷": "dividido entre", "→": "a", "≈": "aproximadamente", "±": "más menos", "~": "unos",
            "€": "euros", "$": "dólares", "£": "libras", "°": "grados", "#": "número",
        },
        to="a", cents="con", per="por", one=("un", "una"), first="primero",
        point="coma", minus="menos",
        squared="al cuadrado", cubed="al cubo", power="elevado a",
        abbreviations={
            "p.ej": "por ejemplo", "etc": "etcétera", "sr": "señor", "sra": "señora", "srta": "señorita",
            "dr": "doctor", "dra": "doctora", "ud": "usted", "uds": "ustedes", "núm": "número",
            "aprox": "aproximadamente", "avda": "avenida", "pág": "página", "tel": "teléfono",
            "prof": "profesor",
            "ee.uu": "Estados Unidos",
        },
    ),
    "it": LanguageWords(
        signs={
            "%": "per cento", "&": "e", "+": "più", "=": "uguale", "@": "chiocciola", "<": "minore di",
            ">": "maggiore di", "≤": "minore o uguale a", "≥": "maggiore o uguale a", "×": "per",
            "÷": "diviso", "→": "a", "≈": "circa", "±": "più o meno", "~": "circa", "€": "euro",
            "$": "dollari", "£": "sterline", "°": "gradi", "#": "numero",
        },
        minutes="e", to="a", cents="e", per="al", one=("un", "una"), first="primo",
        point="virgola", minus="meno",
        squared="al quadrato", cubed="al cubo", power="alla",
        abbreviations={
            "p.es": "per esempio", "peres": "per esempio", "es": "esempio", "ecc": "eccetera",
            "sig": "signor",
            "sig.ra": "signora", "dott": "dottor", "prof": "professor", "ca": "circa", "pag": "pagina",
            "tel": "telefono", "avv": "avvocato", "ing": "ingegner",
        },
    ),
    "pt": LanguageWords(
        signs={
            "%": "por cento", "&": "e", "+": "mais", "=": "igual a", "@": "arroba", "<": "menor que",
            ">": "maior que", "≤": "menor ou igual a", "≥": "maior ou igual a", "×": "vezes",
            "÷": "dividido por", "→": "para", "≈": "cerca de", "±": "mais ou menos", "~": "cerca de",
            "€": "euros", "$": "dólares", "£": "libras", "°": "graus", "#": "número",
        },
        minutes="e", to="a", cents="e", per="por", one=("um", "uma"), first="primeiro",
        point="vírgula", minus="menos",
        squared="ao quadrado", cubed="ao cubo", power="elevado a",
        abbreviations={
            "p.ex": "por exemplo", "etc": "etcétera", "sr": "senhor", "sra": "senhora", "dr": "doutor",
            "dra": "doutora", "prof": "professor", "av": "avenida", "pág": "página", "tel": "telefone",
            "aprox": "aproximadamente", "núm": "número",
        },
    ),
    "nl": LanguageWords(
        signs={
            "%": "procent", "&": "en", "+": "plus", "=": "is", "@": "at", "<": "kleiner dan",
            ">": "groter dan", "≤": "kleiner dan of gelijk aan", "≥": "groter dan of gelijk aan", "×": "keer",
            "÷": "gedeeld door", "→": "naar", "≈": "ongeveer", "±": "plus of min", "~": "ongeveer",
            "€": "euro", "$": "dollar", "£": "pond", "°": "graden", "#": "nummer",
        },
        oclock="uur", to="tot", per="per", one=("één", "één"), point="komma", minus="min",
        squared="kwadraat", cubed="tot de derde", power="tot de macht",
        abbreviations={
            "bijv": "bijvoorbeeld", "bv": "bijvoorbeeld", "d.w.z": "dat wil zeggen", "enz": "enzovoort",
            "dhr": "de heer", "mevr": "mevrouw", "nr": "nummer", "ca": "circa", "o.a": "onder andere",
            "m.b.t": "met betrekking tot", "t.a.v": "ten aanzien van", "dr": "dokter", "prof": "professor",
            "incl": "inclusief", "excl": "exclusief", "max": "maximaal", "min": "minimaal", "tel": "telefoon",
            "etc": "et cetera",
        },
    ),
}  # fmt: skip

UNIT_NAMES = {
    "km": "length-kilometer", "m": "length-meter", "cm": "length-centimeter", "mm": "length-millimeter",
    "µm": "length-micrometer", "μm": "length-micrometer", "kg": "mass-kilogram", "g": "mass-gram",
    "mg": "mass-milligram", "µg": "mass-microgram", "μg": "mass-microgram", "l": "volume-liter",
    "L": "volume-liter", "ml": "volume-milliliter", "mL": "volume-milliliter", "cl": "volume-centiliter",
    "dl": "volume-deciliter", "km/h": "speed-kilometer-per-hour", "m/s": "speed-meter-per-second",
    "m/s²": "acceleration-meter-per-square-second", "°C": "temperature-celsius",
    "°F": "temperature-fahrenheit", "°": "angle-degree", "h": "duration-hour", "Std.": "duration-hour",
    "min": "duration-minute", "Min.": "duration-minute", "s": "duration-second", "ms": "duration-millisecond",
    "kB": "digital-kilobyte", "KB": "digital-kilobyte", "MB": "digital-megabyte", "GB": "digital-gigabyte",
    "TB": "digital-terabyte", "kWh": "energy-kilowatt-hour", "kW": "power-kilowatt", "MW": "power-megawatt",
    "W": "power-watt", "V": "electric-volt", "Hz": "frequency-hertz", "kHz": "frequency-kilohertz",
    "MHz": "frequency-megahertz", "GHz": "frequency-gigahertz", "m²": "area-square-meter",
    "m2": "area-square-meter", "km²": "area-square-kilometer", "cm²": "area-square-centimeter",
    "ha": "area-hectare", "m³": "volume-cubic-meter", "m3": "volume-cubic-meter",
    "kcal": "energy-kilocalorie",
    "hPa": "pressure-hectopascal", "bar": "pressure-bar", "kJ": "energy-kilojoule",
}  # fmt: skip
"""Symbols by the names of the Unicode locale data (CLDR)."""
CURRENCY_CODES = {
    "€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "zł": "PLN", "CHF": "CHF", "EUR": "EUR",
    "USD": "USD",
}  # fmt: skip

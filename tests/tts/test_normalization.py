from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cvi.tts.normalization.normalizer import normalize

ENGLISH = [
    ("Hello there, it's nice to meet you!", "Hello there, it's nice to meet you!"),
    # money
    ("Dr. Lee paid $3.50.", "Doctor Lee paid three dollars and fifty cents."),
    ("$1, £1.01 and $0.99", "one dollar, one pound and one penny and ninety-nine cents"),
    ("€2.5bn or $5-10 million", "two point five billion euros or five to ten million dollars"),
    ("50 USD, $20/month", "fifty dollars, twenty dollars per month"),
    # times
    ("At 3:30 pm.", "At three thirty P M."),
    ("from 3:05 a.m. to 15:30", "from three oh five A M to fifteen thirty"),
    ("at 3:00", "at three o'clock"),
    ("It is 3 PM. Come in.", "It is three P M. Come in."),
    ("at 9 a.m. She left", "at nine A M. She left"),
    # dates and years
    ("on Jan. 5, 2024, we met", "on January fifth, twenty twenty-four, we met"),
    ("on March 3rd", "on March third"),
    ("the 5th of May", "the fifth of May"),
    ("2024-01-05", "January fifth, twenty twenty-four"),
    ("12/25/1999", "December twenty-fifth, nineteen ninety-nine"),
    ("in 1905, 2007 and 1984", "in nineteen oh five, two thousand seven and nineteen eighty-four"),
    ("the 1990s and '80s", "the nineteen nineties and eighties"),
    ("from 1999-2004", "from nineteen ninety-nine to two thousand four"),
    # numbers
    ("1,234.56", "one thousand two hundred and thirty-four point five six"),
    ("the 21st and 2nd", "the twenty-first and second"),
    ("5-10% of them", "five to ten percent of them"),
    ("20% off", "twenty percent off"),
    ("1/2 cup, 3/4, 2½, 24/7", "one half cup, three quarters, two and a half, twenty-four seven"),
    ("agent 007", "agent zero zero seven"),
    ("version 1.2.3", "version one point two point three"),
    ("2+2=4", "two plus two equals four"),
    ("5 - 3", "five minus three"),
    ("#1 of 10x20", "number one of ten by twenty"),
    # telephone
    ("Call 911!", "Call nine one one!"),
    ("(555) 123-4567", "five five five, one two three, four five six seven"),
    ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
    # units
    ("-5 °C or 60 mph", "minus five degrees Celsius or sixty miles per hour"),
    ("1 kg, 5 g, 5km, 100 GB", "one kilogram, five grams, five kilometers, one hundred gigabytes"),
    ("5'10\" tall", "five foot ten tall"),
    ("at 5 in the morning", "at five in the morning"),
    # abbreviations and acronyms
    ("Mr. and Mrs. Smith vs. Prof. Jones", "Mister and Missus Smith versus Professor Jones"),
    ("12 Elm St. near St. Paul's", "twelve Elm Street near Saint Paul's"),
    ("Dr. Who lives on Oak Dr.", "Doctor Who lives on Oak Drive."),
    ("fruit, e.g. apples, i.e. food, etc.", "fruit, for example apples, that is food, et cetera."),
    ("approx. five", "approximately five"),
    ("The F.B.I. and NASA use SQL", "The F B I and Nasa use S Q L"),
    ("PDFs, pdf and mp3s", "P D F's, P D F and M P threes"),
    ("I do NOT agree", "I do not agree"),
    ("STOP IT NOW PLEASE", "stop it now please"),
    ("World War II, Henry VIII, Chapter V", "World War two, Henry the eighth, Chapter five"),
    ("and/or he/she", "and or he or she"),
    ("salt & pepper w/o sugar", "salt and pepper without sugar"),
    ("the TV, CPU, GPU, AI, IT and HR", "the T V, C P U, G P U, A I, I T and H R"),
    ("Q&A, AT&T", "Q and A, A T and T"),
    (
        "C++, C#, .NET, H.264, 1080p, 4K",
        "C plus plus, C sharp, dot N E T, H two hundred and sixty-four, ten eighty P, four K",
    ),
    ("Main St. He left", "Main Street. He left"),
    ("on Mon., Sat. and Sun. only", "on Monday, Saturday and Sunday only"),
    ("10-11 AM or 8 pm", "ten to eleven A M or eight P M"),
    (
        "$12.99/mo, 3:1 odds, 50/50, 3x",
        "twelve dollars and ninety-nine cents per month, three to one odds, fifty fifty, three times",
    ),
    # dates, times and their ranges
    ("31.12.2025", "December thirty-first, twenty twenty-five"),
    ("on 2025-12-31T10:30:00Z", "on December thirty-first, twenty twenty-five, at ten thirty U T C"),
    ("Open 9:00–17:00.", "Open nine o'clock to seventeen hundred."),
    ("9am-5pm, 12:30 PM–2:00 PM", "nine A M to five P M, twelve thirty P M to two P M"),
    ("2024-25, 1914–1918", "twenty twenty-four to twenty-five, nineteen fourteen to nineteen eighteen"),
    # ranges, and what is none
    ("3–5 days, pages 10-12, pp. 3-4", "three to five days, pages ten to twelve, pages three to four"),
    ("50%–60% or $5–$10", "fifty to sixty percent or five to ten dollars"),
    ("They won 3-2. A 6-4 win.", "They won three two. A six four win."),
    ("Pro: $20/mo. Or 911.", "Pro: twenty dollars per month. Or nine one one."),
    ("call 555-1234", "call five five five, one two three four"),
    ("Mon–Fri 9–5, Jan-Mar", "Monday to Friday nine to five, January to March"),
    ("May 5–June 3, Jan 5-7", "May fifth to June third, January fifth to seventh"),
    ("25°C–30°C, 2-3x", "twenty-five degrees Celsius to thirty degrees Celsius, two to three times"),
    ("ISBN 978-3-16-148410-0", "I S B N nine seven eight, three, one six, one four eight four one zero, zero"),
    ("Nos. 3-5, 2024/05/06", "numbers three to five, May sixth, twenty twenty-four"),
    ("a cost-benefit study, a one-way London–Paris trip", "a cost-benefit study, a one-way London, Paris trip"),
    # units and powers
    ("2h 30m, 6ft 2in, 10 x 20 cm", "two hours thirty minutes, six feet two inches, ten by twenty centimeters"),
    ("€0.30/kWh, cm⁻¹, mph", "thirty cents per kilowatt hour, per centimeter, miles per hour"),
    ("9.81 m/s²", "nine point eight one meters per second squared"),
    ("m/s², km/day, J/(kg·K)", "meters per second squared, kilometers per day, joules per kilogram kelvin"),
    ("100 km/h, 5 µg, 5 μm, 3 kWh", "one hundred kilometers per hour, five micrograms, five micrometers, "
     "three kilowatt hours"),
    ("1 kg/m³, 10 GB/s, 5 m³, 10 mg/ml", "one kilogram per cubic meter, ten gigabytes per second, five cubic meters, "
     "ten milligrams per milliliter"),
    ("10⁻³, 10^6, x², x^3, 2^10", "ten to the power of minus three, ten to the power of six, x squared, x cubed, "
     "two to the power of ten"),
    ("6.022×10²³, 3e8", "six point zero two two times ten to the power of twenty-three, three times ten to the power "
     "of eight"),
    ("E = mc², √2, CO₂", "E equals M C squared, the square root of two, C O two"),
    ("as they say.² Then", "as they say. Then"),
    # names of models, codes
    ("i7-13700K, RTX 4090", "i seven thirteen seven hundred K, R T X forty ninety"),
    ("A320, Boeing 747, F-16", "A three twenty, Boeing seven forty-seven, F sixteen"),
    ("Qwen2.5-1.5B, HTTP 404", "Qwen two point five one point five B, H T T P four oh four"),
    ("B2B, HTTP/2, GPT-4o, R2-D2", "B two B, H T T P two, G P T four o, R two D two"),
    ("ZIP 90210", "Zip nine zero two one zero"),
    ("Beverly Hills, CA 90210-1234", "Beverly Hills, C A nine zero two one zero, one two three four"),
    ("in 90210 ways", "in ninety thousand two hundred and ten ways"),
    # streets
    ("42nd St.", "forty-second Street."),
    ("on 42nd St. and 5th Ave.", "on forty-second Street and fifth Avenue."),
    ("12 St. Mary's Rd. by Main St", "twelve Saint Mary's Road by Main Street"),
    # comparisons
    ("x < 5, y >= 3", "x less than five, y greater than or equal to three"),
    ("if a > b and c <= 2", "if a greater than b and c less than or equal to two"),
    ("5 × 3, 4x4, α and β", "five times three, four by four, alpha and beta"),
    # addresses
    ("See https://www.example.com/docs?x=1.", "See example dot com slash docs."),
    ("Mail john.smith@example.co.uk!", "Mail john dot smith at example dot co dot uk!"),
    # what is not said
    ("**Bold** and *italic* `code` text 😀👍🏽.", "Bold and italic code text."),
    ("a [link](http://x.y/z) here", "a link here"),
    ("# Title\n\n- one thing\n- another", "Title. one thing. another"),
    ("Look:\n```python\nx = 1\n```\nDone.", "Look: Done."),
    ("He left… “really”?! (yes)", "He left... really? yes"),
    ("wait... what", "wait, what"),
    ("... 😀 !!! **", ""),
]  # fmt: skip


@pytest.mark.parametrize(("written", "spoken"), ENGLISH)
def test_english(written: str, spoken: str) -> None:
    assert normalize(written).text == spoken


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("de", "Das kostet 3,50 € & 20 %.", "Das kostet drei Euro fünfzig und zwanzig Prozent."),
        ("de", "am 31.12.2025, 9:00–17:00 Uhr", "am einunddreißigsten Dezember zweitausendfünfundzwanzig, neun bis "
         "siebzehn Uhr"),
        ("de", "Am 5. Nov. 2020, z.B. die 3. Etage.", "Am fünften November zweitausendzwanzig, zum Beispiel die dritte "
         "Etage."),
        ("de", "z. B. 5 km/h, d. h. 20 °C usw.", "zum Beispiel fünf Kilometer pro Stunde, das heißt zwanzig Grad Celsius "
         "und so weiter."),
        ("de", "1 km, 1 h, 3–5 Tage, -5 °C", "ein Kilometer, eine Stunde, drei bis fünf Tage, minus fünf Grad Celsius"),
        ("de", "10⁻³, x², x < 5, 1999", "zehn hoch minus drei, x hoch zwei, x kleiner als fünf, "
         "neunzehnhundertneunundneunzig"),
        ("de", "Dr. Müller, Nr. 5, ca. 9:30 Uhr", "Doktor Müller, Nummer fünf, circa neun Uhr dreißig"),
        ("de", "Ich bin 25. Du bist 30.", "Ich bin fünfundzwanzig. Du bist dreißig."),
        ("de", "PLZ 10115, i7-13700K", "PLZ eins null eins eins fünf, i sieben dreizehntausendsiebenhundert K"),
        ("fr", "le 1er janvier 2024 à 9h30, 3,50 €", "le premier janvier deux mille vingt-quatre à neuf heures trente, "
         "trois euros cinquante"),
        ("fr", "de 9:00-17:00, p. ex. 1 h, x²", "de neuf à dix-sept heures, par exemple une heure, x au carré"),
        ("es", "31/12/2025, 5 km, 3,50 €, $5", "treinta y uno de diciembre de dos mil veinticinco, cinco kilómetros, tres "
         "euros con cincuenta, cinco dólares"),
        ("it", "il 1 maggio 2020, 5 kg, per es. 3–5 giorni", "il primo maggio duemilaventi, cinque chilogrammi, per "
         "esempio tre a cinque giorni"),
        ("pt", "5 km/h, 3,50 €", "cinco quilômetros por hora, três euros e cinquenta"),
        ("nl", "31-12-2025, 9:30 uur, bijv. 5 km", "eenendertig december tweeduizendvijfentwintig, negen uur dertig, "
         "bijvoorbeeld vijf kilometer"),
        ("ru", "31.12.2025, 20 °C", "тридцать один декабря две тысячи двадцать пять, двадцать градусов Цельсия"),
        ("fr", "à 3 €/kg", "à trois euros par kilogramme"),
        ("th", "สวัสดีครับ", "สวัสดีครับ"),
        ("pl", "5 km, 10 zł", "pięć kilometrów, dziesięć złotych polskich"),
        ("de", "1.234 Leute", "eintausendzweihundertvierunddreißig Leute"),
        ("fr", "20 % de 100", "vingt pour cent de cent"),
        ("es-MX", "El 5% de 12,5", "El cinco por ciento de doce coma cinco"),
        ("zz", "about 5 things", "about 5 things"),
    ],
)  # fmt: skip
def test_other_languages(language: str, written: str, spoken: str) -> None:
    assert normalize(written, language).text == spoken


def test_each_spoken_word_has_its_written_word() -> None:
    written = "Dr. Lee paid $3.50 for 5 kg."
    spoken = normalize(written)
    pairs = [(spoken.text[w.start : w.end], written[w.source_start : w.source_end]) for w in spoken.words]
    assert pairs == [
        ("Doctor", "Dr."), ("Lee", "Lee"), ("paid", "paid"), ("three", "$3.50"), ("dollars", "$3.50"),
        ("and", "$3.50"), ("fifty", "$3.50"), ("cents", "$3.50"), ("for", "for"),
        ("five", "5"), ("kilograms", "kg"),
    ]  # fmt: skip


def test_sentences() -> None:
    parts = normalize("I saw Dr. Lee. Did you? No: never!").sentences()
    assert [part.text for part in parts] == ["I saw Doctor Lee.", "Did you?", "No: never!"]
    assert [parts[1].text[word.start : word.end] for word in parts[1].words] == ["Did", "you"]
    assert [word.source_start for word in parts[1].words] == [15, 19]


def test_respelling_moves_the_words() -> None:
    spoken = normalize("The U.S.A. now.").with_words(lambda _, spelling: "eh" if spelling == "A" else spelling)
    assert spoken.text == "The U S eh now."
    assert [spoken.text[word.start : word.end] for word in spoken.words] == ["The", "U", "S", "eh", "now"]


TRICKY = st.text(
    st.sampled_from([*"abIVXAMS019 .,:;/-–+$€£%@#&*_`'’\"()[]<>|~^\\\n\t°½²٣éß漢😀️"]), max_size=40
) | st.text(max_size=40)


@settings(max_examples=200, deadline=None)
@given(text=TRICKY, language=st.sampled_from(["en", "de", "fr", "ja"]))
@example(text="9" * 5_000, language="en")
@example(text="9" * 5_000, language="de")
@example(text="1." * 300, language="en")
def test_the_words_of_any_text_are_in_order(text: str, language: str) -> None:
    spoken = normalize(text, language)
    at = source = 0
    spans = sorted({(word.source_start, word.source_end) for word in spoken.words})
    assert all(one[1] <= two[0] for one, two in pairwise(spans)), "written words overlap"
    for word in spoken.words:
        assert at <= word.start < word.end <= len(spoken.text)
        assert not any(char.isspace() for char in spoken.text[word.start : word.end])
        assert not spoken.text[at : word.start].strip(" .,;:!?"), "words are missed"
        assert word.source_start >= source
        assert word.source_start < word.source_end <= len(text)
        at, source = word.end, word.source_start
    assert "".join(part.text.replace(" ", "") for part in spoken.sentences()) == spoken.text.replace(" ", "")

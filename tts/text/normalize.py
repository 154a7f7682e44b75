"""English text as it is spoken: numbers, money, dates, times, units, abbreviations, addresses and symbols in words.

The text passes an ordered list of rules, `_RULES`; each replaces what it recognises, so a rule sees no digit that an
earlier one has read. Every pattern that may run over digits or letters without bound starts where such a run starts,
which keeps the time linear in the length of the text.
"""

import logging
import re
import unicodedata
from collections.abc import Callable

from tts.errors import TextError
from tts.text import english
from tts.text.numbers import cardinal, decimal, fraction, ordinal, plural, roman_to_int, spell_digits, year

logger = logging.getLogger(__name__)

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str] | str]

_REPLACED = str.maketrans(
    {
        "“": '"',
        "”": '"',
        "„": '"',
        "«": '"',
        "»": '"',
        "‘": "'",
        "’": "'",
        "−": "-",
        "‐": "-",
        "‑": "-",
        "•": ",",
        "。": ".",
        "、": ",",
        "²": " squared",
        "³": " cubed",
        "™": "",
        "…": "...",
        **{c: f" {unicodedata.normalize('NFKC', c).replace('⁄', '/')}" for c in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"},
    }
)
_KEPT = set(" .,?!;:—–-'\"()[]<>") | set(english.SYMBOLS) | set("_^*|\\`{}")
_SILENT = set("¡¿©®·′″")
_SILENT_CATEGORIES = {"Cf", "Mn"}  # joiners, byte order marks, variation selectors

_INT = r"(?:\d{1,3}(?:,\d{3}){1,8}(?!\d)|\d+)"
_NUM = rf"(?:{_INT}(?:\.\d+)?|\.\d+)"
_START = r"(?<!\d)(?<!\d[.,])"  # not inside a number
_END = r"(?![\w]|[.,]\d)"
_MONTH = "|".join(f"{m}|{m[:3]}\\.?" if len(m) > 4 else m for m in english.MONTHS) + r"|Sept\.?"
_YEAR = r"(?:1[0-9]|20)\d\d"
_ADDRESS = (
    r"(?<![\w.@-])(?:https?://|www\.)[^\s<>\"']+"
    r"|(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"
    r"|(?<![\w.@-])(?:[A-Za-z][\w-]{0,62}\.){1,8}(?:com|org|net|edu|gov|io|uk)\b(?:/[^\s<>\"']*)?"
)


def _number(text: str) -> str:
    return decimal(text) if "." in text else cardinal(text)


def _at_end(match: re.Match[str], also_before: str = "") -> bool:
    """Whether the text ends after `match` (but for quotes), or goes on with something that `also_before` matches."""
    rest = match.string[match.end() : match.end() + 3]
    return not rest.strip("\"') ]") or bool(also_before and re.match(also_before, rest))


def _address(match: re.Match[str]) -> str:
    found = match[0].rstrip(".,;:!?)]")
    spoken = re.sub(r"^https?://", "", found).rstrip("/")
    if spoken.startswith("www."):
        spoken = "w w w" + spoken[3:]
    words = re.sub(r"[^\w\s]|_", lambda c: f" {english.IN_ADDRESSES.get(c[0], '')} ", spoken)
    return words + match[0][len(found) :]


def _dotted_letters(match: re.Match[str]) -> str:
    letters = match[0].replace(".", " ").strip()
    known = {"e g": "for example", "i e": "that is", "a d": "A D", "b c": "B C"}
    before_capital = r"\s+[A-Z]" if letters.islower() else ""
    return known.get(letters, letters) + ("." if _at_end(match, before_capital) and letters not in ("e g", "i e") else "")


def _initial(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 40) : match.start()].split()
    is_name = not before or before[-1][0].isupper() or before[-1].endswith((".", "?", "!", '"'))
    return match[1] if is_name else match[0]


def _abbreviation(match: re.Match[str]) -> str:
    word = match[1]
    keeps_stop = _at_end(match, r"\s+[A-Z]" if word == "etc" else "")
    return english.ABBREVIATIONS[word] + ("." if keeps_stop else "")


def _month(name: str) -> str:
    return next(m for m in english.MONTHS if m[:3] == name[:3])


def _month_day(match: re.Match[str]) -> str:
    if int(match["day"]) not in range(1, 32):
        return match[0]
    when = f", {year(match['year'])}" if match["year"] else ""
    return f"{_month(match['month'])} {ordinal(match['day'])}{when}"


def _day_month(match: re.Match[str]) -> str:
    if int(match["day"]) not in range(1, 32):
        return match[0]
    article = "" if re.search(r"\bthe\s+$", match.string[max(0, match.start() - 6) : match.start()], re.IGNORECASE) else "the "
    when = f", {year(match['year'])}" if match["year"] else ""
    return f"{article}{ordinal(match['day'])} of {_month(match['month'])}{when}"


def _numeric_date(match: re.Match[str]) -> str:
    parts = match.groupdict()
    month, day = int(parts["month"]), int(parts["day"])
    if month > 12 and "/" in match[0]:
        month, day = day, month
    if month not in range(1, 13) or day not in range(1, 32):
        return match[0]
    return f"{english.MONTHS[month - 1]} {ordinal(str(day))}, {year(parts['year'])}"


def _time(match: re.Match[str]) -> str:
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    if hour > 24:
        return match[0]
    words = "zero" if hour == 0 else cardinal(str(hour))
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(str(minute))}"
    elif not half:
        words += " o'clock" if hour in range(1, 13) else " hundred"
    return words + (f" {half.lower()} m" if half else "")


def _money(match: re.Match[str]) -> str:
    one, several, cent, cents = english.CURRENCIES[match["sign"]]
    amount, scale = match["amount"].replace(",", ""), match["scale"] or match["letter"]
    if scale:
        return f"{_number(amount)} {english.MONEY_SCALES.get(scale.lower(), scale.lower())} {several}"
    whole, _, hundredths = amount.partition(".")
    if hundredths and len(hundredths) != 2:
        return f"{decimal(amount)} {several}"
    parts = []
    if whole.strip("0") or not hundredths.strip("0"):
        parts.append(f"{cardinal(whole.lstrip('0') or '0')} {one if whole.lstrip('0') == '1' else several}")
    if hundredths.strip("0"):
        parts.append(f"{cardinal(str(int(hundredths)))} {cent if hundredths == '01' else cents}")
    return " and ".join(parts)


def _unit(match: re.Match[str]) -> str:
    one, several = english.UNITS[match["unit"]]
    return f"{_number(match['amount'])} {one if match['amount'] == '1' or match['joint'] == '-' else several}"


def _fraction(match: re.Match[str]) -> str:
    whole, top, bottom = match["whole"], match["top"], match["bottom"]
    if bottom not in ("2", "3", "4", "5", "6", "8", "10") or int(top) >= int(bottom):
        return match[0]
    return (f"{cardinal(whole)} and " if whole else "") + fraction(top, bottom)


def _roman(match: re.Match[str]) -> str:
    name, numeral = match[1], match[2]
    value = str(roman_to_int(numeral))
    if name in english.RULERS and numeral != "I":
        return f"{name} the {ordinal(value)}"
    if name in english.NUMBERED or (len(numeral) > 1 and name not in english.RULERS):
        return f"{name} {cardinal(value)}"
    return match[0]


def _remaining_number(match: re.Match[str]) -> str:
    before, after = match.string[max(0, match.start() - 1) : match.start()], match.string[match.end() : match.end() + 1]
    return f"{' ' * before.isalpha()}{_number(match[0])}{' ' * after.isalpha()}"


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


_ANY_UNIT = "|".join(map(re.escape, sorted(english.UNITS, key=len, reverse=True)))
_RULES: list[Rule] = [
    (re.compile(_ADDRESS), _address),
    # letters with full stops
    (_compile(r"(?<=\d)\s?([AaPp])[Mm]\b"), lambda m: f" {m[1].lower()} m"),
    (_compile(r"(?<=\d)\s?([AaPp])\.\s?[Mm]\."), lambda m: f" {m[1].lower()} m" + "." * _at_end(m, r"\s+[A-Z]")),
    (_compile(r"\bPh\.\s?D\b\.?"), "P h D"),
    (_compile(r"\b(?<!\.)(?:[A-Za-z]\.){2,}(?!\w)"), _dotted_letters),
    (_compile(r"\b([A-Z])\.(?=\s+[A-Z])"), _initial),
    (_compile(rf"\b({'|'.join(english.FAMILIAR_TITLES)})\.?(?=\s+[A-Z])"), lambda m: english.TITLES[m[1]]),
    (_compile(r"\b(Mr|Mrs|Ms|Dr|Prof)\.(?=\s)"), lambda m: english.TITLES[m[1]]),
    (_compile(rf"\b({'|'.join(english.TITLES)})\.(?=\s+[A-Z])"), lambda m: english.TITLES[m[1]]),
    (_compile(rf"\b({'|'.join(english.COUNTED)})\.\s?(?=\d)"), lambda m: english.COUNTED[m[1]] + " "),
    (_compile(rf"\b({'|'.join(english.ABBREVIATIONS)})\.(?!\w)"), _abbreviation),
    (_compile(r"\bvs\b"), "versus"),
    (_compile(r"\b([A-Z][a-z]+)\s+(X{1,3}(?:IX|IV|V?I{0,3})|IX|IV|VI{0,3}|I{1,3})\b(?!['.]\w)"), _roman),
    # dates and times
    (_compile(rf"{_START}(?P<year>{_YEAR})-(?P<month>\d\d)-(?P<day>\d\d){_END}"), _numeric_date),
    (_compile(rf"{_START}(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>{_YEAR}){_END}"), _numeric_date),
    (
        _compile(rf"\b(?P<month>{_MONTH})\s(?P<day>\d\d?)(?:st|nd|rd|th)?(?![\w:/]|[.,]\d)(?:,?\s(?P<year>{_YEAR}){_END})?"),
        _month_day,
    ),
    (
        _compile(
            rf"{_START}(?P<day>\d\d?)(?:st|nd|rd|th)?\s(?:of\s)?(?P<month>{_MONTH})(?!\w)(?:,?\s(?P<year>{_YEAR}){_END})?"
        ),
        _day_month,
    ),
    (_compile(rf"(?<!\w)'?({_YEAR})'?s\b"), lambda m: plural(year(m[1]))),
    (_compile(r"(?<![\w.,])'?([2-9]0)'?s\b"), lambda m: plural(cardinal(m[1]))),
    (_compile(rf"{_START}({_YEAR})\s?[-–]\s?(\d\d){_END}"), lambda m: f"{year(m[1])} to {cardinal(m[2])}"),
    (_compile(rf"{_START}(\d\d?):([0-5]\d)(?!\d)(?: ([ap]) m\b)?"), _time),
    # telephone numbers, ranges, money, measures
    (
        _compile(rf"{_START}\(?(\d{{3}})\)?[-. ](\d{{3}})[-.](\d{{4}}){_END}"),
        lambda m: ", ".join(spell_digits(part) for part in m.groups()),
    ),
    (_compile(r"(?<=\d)(?:-|\s?–\s?)(?=[$£€¥₹]?\d)"), " to "),
    (_compile(r"(?<![\w)])-(?=(?:US)?[$£€¥₹]?\.?\d)"), "minus "),
    (
        _compile(
            rf"(?:US)?(?P<sign>[$£€¥₹])\s?(?P<amount>{_NUM})(?:\s?(?:(?P<scale>hundred|thousand|million|billion|trillion)"
            r"|(?P<letter>[kKmMbB]|bn))\b)?"
        ),
        _money,
    ),
    (_compile(rf"{_START}(?P<amount>{_NUM})(?P<joint>[\s-]?)(?P<unit>{_ANY_UNIT})(?!\w)(?:\.(?=\s+[a-z]))?"), _unit),
    # what other numbers there are
    (_compile(rf"{_START}({_INT})(?:st|nd|rd|th)\b"), lambda m: ordinal(m[1])),
    (_compile(rf"{_START}(?:(?P<whole>\d{{1,3}})\s)?(?P<top>\d{{1,2}})/(?P<bottom>\d{{1,2}})(?![\w/])"), _fraction),
    (_compile(rf"(?<!\w){_START}(?:{_YEAR}){_END}"), lambda m: year(m[0])),
    (_compile(r"#\s?(?=\d)"), "number "),
    (_compile(rf"{_START}\d+(?:\.\d+){{2,}}"), lambda m: decimal(m[0])),
    (_compile(_NUM), _remaining_number),
    # signs
    (_compile(r"(?<=\s)<(?=\s)"), "less than"),
    (_compile(r"(?<=\s)>(?=\s)"), "greater than"),
    (re.compile("[" + re.escape("".join(english.SYMBOLS)) + "]"), lambda m: f" {english.SYMBOLS[m[0]]} "),
    (_compile(r"[<>_^*|\\`{}]"), " "),
    (
        _compile(r"\s+(?=[.,?!;:])|\s{2,}"),
        lambda m: " " if m.end() == len(m.string) or m.string[m.end()] not in ".,?!;:" else "",
    ),
]


def _clean(text: str) -> tuple[str, list[str]]:
    """The characters that have a reading, and those that have none."""
    kept: list[str] = []
    dropped: dict[str, None] = {}
    for c in unicodedata.normalize("NFKC", text.translate(_REPLACED)):
        if c.isspace():
            kept.append(" ")
        elif c.isdecimal():
            kept.append(str(unicodedata.decimal(c)))
        elif c in _KEPT or (c.isalpha() and unicodedata.name(c, "").startswith("LATIN")):
            kept.append(c)
        elif c not in _SILENT and unicodedata.category(c) not in _SILENT_CATEGORIES:
            dropped[c if c.isprintable() else f"U+{ord(c):04X}"] = None
            kept.append(" ")
    return " ".join("".join(kept).split()), list(dropped)


def normalize(text: str, *, strict: bool = False) -> str:
    """`text` in words: "Dr. Lee paid $5 at 3:05 pm." is "Doctor Lee paid five dollars at three oh five p m."

    Characters without an English reading (emoji, other scripts, control characters) are dropped with one warning.

    Args:
        text: English, any Unicode.
        strict: whether a character without a reading is an error.

    Returns:
        Letters, spaces and punctuation on one line; no digits.

    Raises:
        TextError: if nothing is left to speak, or, with `strict`, for any dropped character.
    """
    spoken, dropped = _clean(text)
    listed = " ".join(dropped[:20]) + (" ..." if len(dropped) > 20 else "")
    if dropped and strict:
        raise TextError(f"characters without an English reading: {listed}. Remove them or allow dropping them.")
    for pattern, replacement in _RULES:
        spoken = pattern.sub(replacement, spoken)
    spoken = spoken.strip()
    if not any(c.isalpha() for c in spoken):
        found = f"only {listed}" if dropped else repr(text[:40])
        raise TextError(f"nothing to speak after normalisation: found {found}. Give a text with English words or numbers.")
    if dropped:
        logger.warning("dropped %d character(s) without an English reading: %s", len(dropped), listed)
    return spoken

"""Numbers in English words."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inflect

_MAX_CARDINAL_DIGITS = 15  # longer runs are read digit by digit
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@lru_cache(maxsize=1)
def _engine() -> "inflect.engine":
    import inflect  # seconds of import, so only for a text that has a number

    return inflect.engine()


def spell_digits(digits: str) -> str:
    """Every digit by its name: "007" is "zero zero seven"."""
    return " ".join(_DIGITS[int(d)] for d in digits)


@lru_cache(maxsize=1024)
def cardinal(digits: str) -> str:
    """Words of a whole number, "1,250" is "one thousand two hundred fifty"; codes and very long runs digit by digit."""
    digits = digits.replace(",", "")
    if len(digits) > _MAX_CARDINAL_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return spell_digits(digits)
    return str(_engine().number_to_words(digits, andword="")).replace(",", "")


@lru_cache(maxsize=1024)
def ordinal(digits: str) -> str:
    """Words of a rank: "21" is "twenty-first"."""
    digits = digits.replace(",", "")
    if len(digits) > _MAX_CARDINAL_DIGITS:
        return spell_digits(digits)
    return _engine().ordinal(cardinal(str(int(digits))))


def decimal(number: str) -> str:
    """Words of a number with a point or without: "3.14" is "three point one four", "1.2.3" has two points."""
    whole, *parts = number.split(".")
    words = [cardinal(whole)] if whole else []
    return " ".join([*words, *(f"point {spell_digits(p)}" for p in parts)])


def year(digits: str) -> str:
    """Words of a year of four digits: "1984" nineteen eighty-four, "1905" nineteen oh five, "2004" two thousand four."""
    century, rest = divmod(int(digits), 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(str(int(digits)))
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    return f"{cardinal(str(century))} {'oh ' if rest < 10 else ''}{cardinal(str(rest))}"


def plural(words: str) -> str:
    """The plural of the last word: "nineteen ninety" is "nineteen nineties"."""
    return words[:-1] + "ies" if words.endswith("y") else words + ("es" if words.endswith("x") else "s")


def fraction(top: str, bottom: str) -> str:
    """Words of a fraction: 1/2 "one half", 3/4 "three quarters", 5/8 "five eighths"."""
    name = {"2": "half", "4": "quarter"}.get(bottom) or ordinal(bottom)
    if int(top) == 1:
        return f"one {name}"
    return f"{cardinal(top)} {'halves' if name == 'half' else name + 's'}"


def roman_to_int(numeral: str) -> int:
    """The value of a Roman numeral of I, V and X."""
    values = [{"I": 1, "V": 5, "X": 10}[c] for c in numeral]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))

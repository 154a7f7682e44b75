import importlib
import itertools

import pytest

from tts.errors import ConfigError
from tts.text import frontends
from tts.text.frontends import FRONTENDS, PUNCTUATION, WORD_BOUNDARY, get_frontend, split_clauses, split_ipa


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("phonemizer")
    return get_frontend("espeak")


@pytest.fixture(scope="module", params=sorted(FRONTENDS))
def frontend(request):
    if request.param == "espeak":
        pytest.importorskip("phonemizer")
    return get_frontend(request.param)


TEXTS = ["Hello, world!", "", "What?", "  ", "...", "a b", "One; two: three", "“Quoted” (aside) – end", "- x -", "3.14"]


def test_no_line_is_dropped_and_lines_without_a_sound_are_empty(frontend):
    lines = frontend.phonemize(TEXTS)
    assert len(lines) == len(TEXTS)
    assert [bool(line) for line in lines] == [any(c.isalnum() for c in text) for text in TEXTS]
    assert frontend.phonemize([]) == []


def test_a_line_starts_with_a_sound_and_ends_with_one_mark(frontend):
    for line in filter(None, frontend.phonemize(TEXTS)):
        assert line[0] != WORD_BOUNDARY and line[0] not in PUNCTUATION
        assert line[-1] in PUNCTUATION and line[-2] not in PUNCTUATION
        assert all(not (a == b == WORD_BOUNDARY) for a, b in itertools.pairwise(line))


def test_a_batch_equals_its_singles(frontend):
    assert frontend.phonemize(TEXTS) == [frontend.phonemize([text])[0] for text in TEXTS]


def test_names_are_those_of_the_registry():
    assert get_frontend("characters").name == "characters"
    with pytest.raises(ConfigError, match=r"'g2p' is not known\. Use one of espeak, characters"):
        get_frontend("g2p")


def test_characters_are_lower_case_letters_with_marks_of_their_own():
    assert get_frontend("characters").phonemize(["It's a Well-known Café, no"]) == [
        [*"it's", " ", "a", " ", *"well", " ", *"known", " ", *"café", ",", " ", "n", "o", "."]
    ]


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("hello", "h ə l ˈoʊ ."),
        ("church judge", "tʃ ˈɜː tʃ _ dʒ ˈʌ dʒ ."),
        ("boy, now?", "b ˈɔɪ , _ n ˈaʊ ?"),
        ("day — night!", "d ˈeɪ — _ n ˈaɪ t !"),
        ("see: bird; better", "s ˈiː : _ b ˈɜː d ; _ b ˈɛ ɾ ɚ ."),
        ("button", "b ˈʌ ʔ n̩ ."),
        ('(fire) "sure"', "f ˈaɪ ɚ _ ʃ ˈʊ ɹ ."),
    ],
)
def test_espeak_gives_one_symbol_a_sound_with_stress_on_the_vowel(espeak, text, symbols):
    expected = [WORD_BOUNDARY if s == "_" else s for s in symbols.split()]
    assert espeak.phonemize([text]) == [expected]


def test_words_espeak_reads_in_another_language_carry_no_flags(espeak):
    (line,) = espeak.phonemize(["déjà vu, Schadenfreude, 日本"])
    assert not set("()") & set("".join(line))


def test_every_symbol_of_espeak_is_a_sound_a_boundary_or_a_mark(espeak):
    (line,) = espeak.phonemize(
        ["The quick brown fox jumps over the lazy dog while church judges enjoy measured oil; aren't they? Ouch!"]
    )
    for symbol in line:
        assert symbol in PUNCTUATION or symbol == WORD_BOUNDARY or any(c.isalpha() and c not in "ˈˌː" for c in symbol)


@pytest.mark.parametrize(
    ("ipa", "symbols"),
    [
        ("h_ə_l_ˈoʊ", ["h", "ə", "l", "ˈoʊ"]),
        ("həlˈoʊ", ["h", "ə", "l", "ˈoʊ"]),
        ("l_ˈɪ_ɾ_əl", ["l", "ˈɪ", "ɾ", "ə", "l"]),
        ("n_ˈʌ_t_ʃ_ɛ_l", ["n", "ˈʌ", "t", "ʃ", "ɛ", "l"]),
        ("f_ˈaɪɚ  ˌɔːɹ", ["f", "ˈaɪ", "ɚ", " ", "ˌɔː", "ɹ"]),
        ("ˈst_ɒ_p", ["s", "t", "ˈɒ", "p"]),
        ("b_ɔ̃ n̩", ["b", "ɔ̃", " ", "n̩"]),
        ("a_ˈ", ["a"]),
        ("", []),
        ("_ ˈ", []),
    ],
)
def test_ipa_is_split_into_sounds(ipa, symbols):
    assert split_ipa(ipa) == symbols


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("a -- b", [("a", "—"), ("b", ".")]),
        ("a – b", [("a", "—"), ("b", ".")]),
        ("a - b", [("a", "—"), ("b", ".")]),
        ("well-known", [("well-known", ".")]),
        ('"Hi," he said. (Ok) Bye', [("Hi", ","), ("he said", "."), ("Ok Bye", ".")]),
        ("rock 'n' roll, it's the dogs' tails", [("rock n roll", ","), ("it's the dogs tails", ".")]),
        ("3.14, 5:30, 1,000", [("3.14", ","), ("5:30", ","), ("1,000", ".")]),
        ("Well... I", [("Well", "."), ("I", ".")]),
        ("what?! No…", [("what", "?"), ("No", ".")]),
        (", . a", [("a", ".")]),
        ("...", []),
    ],
)
def test_clauses_end_with_their_strongest_mark(text, clauses):
    assert split_clauses(text) == clauses


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch):
    def missing(name, *args):
        raise ModuleNotFoundError(f"No module named {name!r}")

    espeak_module = importlib.import_module("tts.text.espeak")
    monkeypatch.setattr(espeak_module.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'glottis\[phonemes\]', or use the front end 'characters'"):
        frontends.EspeakFrontend()


def test_an_unknown_voice_is_named():
    pytest.importorskip("phonemizer")
    with pytest.raises(ConfigError, match="espeak-ng has no voice 'xx-nowhere'"):
        frontends.EspeakFrontend("xx-nowhere")

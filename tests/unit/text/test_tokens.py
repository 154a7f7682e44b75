import pytest

from tts.errors import TextError
from tts.text.tokens import PAD, PAD_ID, Tokens

CORPUS = [["h", "ə", "l", "ˈoʊ", "."], ["l", "oʊ", " ", "ɛ", "e", "!"]]


@pytest.fixture
def tokens():
    return Tokens.build(CORPUS)


def test_the_table_is_sorted_and_starts_with_padding(tokens):
    assert tokens.symbols == [PAD, *sorted({s for line in CORPUS for s in line})]
    assert PAD_ID == 0 and len(tokens) == 11 and "ə" in tokens and "ʒ" not in tokens


def test_the_order_of_the_corpus_does_not_matter(tokens):
    assert Tokens.build(reversed(CORPUS)).symbols == tokens.symbols
    assert Tokens.build(iter([*CORPUS, *CORPUS])).symbols == tokens.symbols


def test_encoding_gives_places_in_the_table(tokens):
    assert [tokens.symbols[i] for i in tokens.encode(CORPUS[0])] == CORPUS[0]
    assert PAD_ID not in tokens.encode(CORPUS[1])


def test_a_stress_or_accent_the_table_lacks_is_left_off(tokens, caplog):
    assert tokens.encode(["ˈɛ", "ˌoʊ", "é"]) == tokens.encode(["ɛ", "oʊ", "e"])
    assert not caplog.records


def test_unknown_symbols_are_dropped_with_one_warning(tokens, caplog):
    assert tokens.encode(["h", "ʒ", "ə", "😀", "ʒ"]) == tokens.encode(["h", "ə"])
    assert len(caplog.records) == 1
    assert "dropped 2 symbol(s) the model does not know: ʒ 😀" in caplog.text


def test_strict_refuses_unknown_symbols(tokens):
    with pytest.raises(TextError, match="symbols the model does not know: ʒ"):
        tokens.encode(["h", "ʒ"], strict=True)
    assert tokens.encode(["ˈɛ"], strict=True) == tokens.encode(["ɛ"])


@pytest.mark.parametrize("symbols", [["ʒ", "ʔ"], ["ʒ", "."], ["ʒ", " ", "!"]])
def test_a_text_without_one_known_sound_is_refused(tokens, symbols, caplog):
    with pytest.raises(TextError, match="nothing to speak: found unknown symbols ʒ"):
        tokens.encode(symbols)
    assert not caplog.records


@pytest.mark.parametrize("symbols", [[], ["."], [" "]])
def test_a_text_without_a_sound_is_refused(tokens, symbols):
    with pytest.raises(TextError, match="nothing to speak: found no sound"):
        tokens.encode(symbols)


def test_padding_cannot_be_spoken(tokens):
    assert tokens.encode(["h", PAD]) == tokens.encode(["h"])


def test_the_file_gives_the_table_back_and_has_one_symbol_a_line(tokens, tmp_path):
    path = tmp_path / "tokens.txt"
    tokens.save(path)
    assert path.read_text(encoding="utf-8") == "<pad>\n<space>\n!\n.\ne\nh\nl\noʊ\nə\nɛ\nˈoʊ\n"
    assert Tokens.load(path).symbols == tokens.symbols
    assert [p.name for p in tmp_path.iterdir()] == ["tokens.txt"]


def test_windows_line_ends_and_a_byte_order_mark_are_accepted(tokens, tmp_path):
    path = tmp_path / "tokens.txt"
    tokens.save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert Tokens.load(path).symbols == tokens.symbols


def test_every_white_space_but_the_boundary_survives_the_file(tmp_path):
    tokens = Tokens.build([["a", "\u2028", "\x85", "\u3000", " "]])
    tokens.save(tmp_path / "tokens.txt")
    assert Tokens.load(tmp_path / "tokens.txt").symbols == tokens.symbols


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with '<pad>', found \\[''\\]"),
        (b"a\nb\n", "starts with '<pad>'"),
        (b"<pad>\na\nb\na\n", "found twice: 'a'"),
        (b"<pad>\na\n\nb\n", "neither empty"),
        (b"<pad>\n\xff\xfe\n", "cannot be read as a token table"),
    ],
)
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "tokens.txt").write_bytes(content)
    with pytest.raises(TextError, match=f"tokens.txt.*{message}"):
        Tokens.load(tmp_path / "tokens.txt")


def test_a_missing_file_is_a_text_error(tmp_path):
    with pytest.raises(TextError, match=r"gone\.txt cannot be read"):
        Tokens.load(tmp_path / "gone.txt")


@pytest.mark.parametrize("symbol", ["", "a\nb", "<space>"])
def test_a_symbol_the_file_cannot_hold_is_refused(symbol):
    with pytest.raises(TextError, match="a symbol is neither empty"):
        Tokens.build([[symbol]])

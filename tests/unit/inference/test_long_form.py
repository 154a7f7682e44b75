"""Long texts and lists of lines: what is passed over, what is clipped, what memory holds."""

import dataclasses
import types
import weakref

import numpy as np
import pytest
import soundfile

from tts.config import AudioConfig
from tts.data.files import read_json
from tts.data.manifest import Utterance
from tts.errors import AudioError, TextError
from tts.inference.decode import DECODE, decode_set
from tts.inference.long_form import PAUSE_SECONDS, read_text, speak_lines, speak_long
from tts.inference.synthesizer import Synthesizer
from tts.testing import make_model_folder


@pytest.fixture(scope="module")
def tts(tmp_path_factory):
    return Synthesizer.from_pretrained(make_model_folder(tmp_path_factory.mktemp("model") / "tiny"), device="cpu")


def speaker_of(waves):
    """What speak_long needs of a synthesizer; each wave is made when it is asked for."""

    def stream(text):
        return (types.SimpleNamespace(wav=np.asarray(wav, np.float32)) for wav in waves)

    return types.SimpleNamespace(audio=AudioConfig(), stream=stream)


def test_a_sentence_in_another_script_is_passed_over_with_a_warning(tts, caplog):
    pieces = list(tts.stream("Me lo na. 日本語です. Na me?", steps=1))
    assert [p.phones[-1] for p in pieces] == [".", "?"]
    assert len([r for r in caplog.records if "a sentence was passed over" in r.message]) == 1


def test_a_text_of_another_script_alone_is_an_error(tts):
    with pytest.raises(TextError, match="nothing to speak in '日本語です。'"):
        list(tts.stream("日本語です。"))


def test_a_line_in_another_script_has_no_wave_and_the_numbers_stay(tts, tmp_path, caplog):
    (tmp_path / "lines.txt").write_text("Me lo.\n日本語\n\nNa mi.\n", encoding="utf-8")
    assert speak_lines(tts, tmp_path / "lines.txt", tmp_path / "waves", steps=1) == 2
    assert sorted(p.name for p in (tmp_path / "waves").iterdir()) == ["1.wav", "4.wav"]
    assert f"{tmp_path}/lines.txt:2: no wave, nothing to speak" in caplog.text


def test_a_file_without_a_word_is_an_error(tts, tmp_path):
    (tmp_path / "lines.txt").write_text("...\n日本語\n", encoding="utf-8")
    with pytest.raises(TextError, match="no line has a word to speak"):
        speak_lines(tts, tmp_path / "lines.txt", tmp_path / "waves")
    assert not (tmp_path / "waves").exists() or not list((tmp_path / "waves").iterdir())


def test_samples_beyond_full_scale_are_clipped_with_one_warning(tmp_path, caplog):
    speak_long(speaker_of([[0.5, 1.5], [-2.0, 0.0]]), "", tmp_path / "a.wav")
    pause = round(PAUSE_SECONDS * 16000)
    assert [r.message for r in caplog.records] == [f"{tmp_path}/a.wav: 2 of {pause + 4} samples beyond [-1, 1] were clipped."]
    wav, _ = soundfile.read(tmp_path / "a.wav")
    np.testing.assert_allclose(wav, [0.5, 1.0, *[0.0] * pause, -1.0, 0.0], atol=1e-4)


def test_samples_that_are_not_finite_leave_no_file(tmp_path):
    with pytest.raises(AudioError, match="samples that are not finite"):
        speak_long(speaker_of([[0.5], [np.nan]]), "", tmp_path / "a.wav")
    assert list(tmp_path.iterdir()) == []


def test_memory_holds_two_sentences_at_most(tmp_path):
    made = []

    def waves():
        for _ in range(50):
            wav = np.zeros(1000, np.float32)
            made.append(weakref.ref(wav))
            assert sum(ref() is not None for ref in made) <= 3  # this one, the last one, and the one being replaced
            yield wav

    assert speak_long(speaker_of(waves()), "", tmp_path / "a.wav") == pytest.approx(50 / 16 + 49 * PAUSE_SECONDS)


def test_a_text_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(TextError, match=r"latin\.txt: not UTF-8 at byte 3"):
        read_text(tmp_path / "latin.txt")
    with pytest.raises(TextError, match=r"gone\.txt: no such file"):
        read_text(tmp_path / "gone.txt")
    (tmp_path / "windows.txt").write_bytes("\ufeffone\r\ntwo".encode())
    assert read_text(tmp_path / "windows.txt") == "one\ntwo"


def utterance(name, text):
    return Utterance(id=name, audio=None, text=text, speaker="ada")


def test_an_utterance_without_text_is_left_out_of_a_decoded_set_and_counted(tts, tmp_path, caplog):
    decode_set(tts, [utterance("a", "Me lo."), utterance("b", ""), utterance("c", "日本")], tmp_path / "out", steps=1)
    assert [row["id"] for row in read_json(tmp_path / "out" / DECODE)["utterances"]] == ["a"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.safetensors", "a.wav", DECODE]
    assert "2 of 3 utterances have nothing to speak: b, c" in caplog.text
    with pytest.raises(TextError, match="none of 1 utterances has anything to speak"):
        decode_set(tts, [utterance("b", "")], tmp_path / "none")


@pytest.mark.parametrize(("texts", "seeds"), [([], None), (["Me lo."], [1, 2]), (["Me lo.", "Na."], [1])])
def test_no_text_and_another_number_of_seeds_are_refused(tts, texts, seeds):
    with pytest.raises(ValueError, match="at least one text and as many seeds"):
        tts.synthesize_batch(texts, seeds=seeds)


def test_the_wave_written_is_the_wave_made(tts, tmp_path):
    audio = dataclasses.replace(tts.synthesize("Me lo.", steps=1), wav=np.float32([0.25, -0.5]))
    audio.save(tmp_path / "a.wav")
    assert soundfile.read(tmp_path / "a.wav")[0].tolist() == [0.25, -0.5]

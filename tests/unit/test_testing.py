import numpy as np
import pytest

from tts.audio.pitch import extract_f0
from tts.config import AudioConfig
from tts.data.corpora import read_corpus
from tts.testing import make_corpus, make_tone, speak


@pytest.mark.parametrize("method", ["dio", "harvest"])
def test_both_pitch_extractors_hear_the_tone(method):
    f0 = extract_f0(make_tone(130.0, 0.6), AudioConfig(), 38, method=method)
    assert (f0 > 0).mean() > 0.8
    assert np.median(f0[f0 > 0]) == pytest.approx(130, rel=0.02)


def test_a_tone_has_its_length_and_peak():
    wav = make_tone(130.0, 0.5, 22050)
    assert wav.shape == (11025,)
    assert wav.dtype == np.float32
    assert np.abs(wav).max() == pytest.approx(0.5)


def test_words_are_told_apart_by_their_vowel_and_parted_by_silence():
    wav = speak("ma mi", 120.0)
    first, second = wav[960:4480], wav[5440:8960]
    assert not wav[:960].any()
    assert not wav[4480:5440].any()
    spectra = [np.abs(np.fft.rfft(word)) for word in (first, second)]
    hz = np.fft.rfftfreq(3520, 1 / 16000)
    low, high = (hz > 600) & (hz < 900), (hz > 2000) & (hz < 2500)
    assert spectra[0][low].sum() > 3 * spectra[1][low].sum()
    assert spectra[1][high].sum() > 3 * spectra[0][high].sum()


def test_the_corpus_is_the_same_every_time_and_readable(tmp_path):
    first = read_corpus(make_corpus(tmp_path / "a", 2, 0.5, ("ada", "bob")))
    second = read_corpus(make_corpus(tmp_path / "b", 2, 0.5, ("ada", "bob")))
    assert [u.id for u in first] == ["ada-0001", "ada-0002", "bob-0001", "bob-0002"]
    assert [(u.text, u.audio.read_bytes()) for u in first] == [(u.text, u.audio.read_bytes()) for u in second]
    assert first[0].text == first[2].text

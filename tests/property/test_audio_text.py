"""Properties of the audio and text doors that hold for any input."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tts.audio.io import read_audio, resample, to_wav, write_audio
from tts.audio.mel import MelExtractor
from tts.audio.perturb import PerturbConfig, perturb
from tts.audio.pitch import F0Statistics, denormalize_f0, extract_f0, normalize_f0
from tts.config import AUDIO_CONFIGS
from tts.errors import TextError
from tts.testing import make_tone
from tts.text.frontends import PUNCTUATION, WORD_BOUNDARY, get_frontend
from tts.text.normalize import normalize
from tts.text.sentences import split_sentences
from tts.text.tokens import PAD_ID, Tokens

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds = st.integers(0, 2**32 - 1)
extractors = {name: MelExtractor(audio) for name, audio in AUDIO_CONFIGS.items()}
texts = st.one_of(st.text(max_size=80), st.text(st.characters(codec="ascii"), max_size=80))


def noise(seed: int, n_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, n_samples).astype(np.float32)


@few
@given(
    seed=seeds, n_samples=st.integers(1, 6000), name=st.sampled_from(sorted(AUDIO_CONFIGS)), level=st.sampled_from([0, 1e-4, 1])
)
def test_any_wav_gives_a_finite_mel_above_its_floor(seed, n_samples, name, level):
    audio = AUDIO_CONFIGS[name]
    mel = extractors[name](torch.from_numpy(level * noise(seed, n_samples).astype(np.float32))[None].float())
    assert mel.shape == (1, 80, n_samples // audio.hop_length + 1)
    assert mel.isfinite().all()
    assert mel.min() >= np.log(audio.log_offset or audio.log_floor) - 1e-5


@few
@given(seed=seeds, n_samples=st.integers(0, 4000), n_frames=st.integers(0, 30), silent=st.booleans())
def test_any_wav_gives_a_finite_pitch_of_the_length_asked_for(seed, n_samples, n_frames, silent):
    f0 = extract_f0(noise(seed, n_samples) * (not silent), AUDIO_CONFIGS["libri16k"], n_frames)
    z, voiced = normalize_f0(f0, F0Statistics(mean=5.0, std=0.2))
    assert f0.shape == z.shape == voiced.shape == (n_frames,)
    assert np.isfinite(f0).all() and np.isfinite(z).all()
    assert not (silent and voiced.any())


@few
@given(
    seed=seeds,
    n_samples=st.integers(1, 9000),
    rate=st.sampled_from([8000, 16000, 22050]),
    level=st.sampled_from([0, 1e-20, 1]),
    tone=st.booleans(),
)
def test_any_wav_is_perturbed_to_a_finite_one_of_its_length_and_level(seed, n_samples, rate, level, tone):
    wav = noise(seed, n_samples) if not tone else make_tone(60.0 + seed % 400, (n_samples + 1) / rate, rate)[1:]
    wav = (level * wav).astype(np.float32)
    out = perturb(wav, rate, PerturbConfig(), np.random.default_rng(seed))
    assert out.shape == wav.shape and np.isfinite(out).all()
    assert np.linalg.norm(out.astype(np.float64)) == pytest.approx(np.linalg.norm(wav.astype(np.float64)), rel=1e-4)


@few
@given(st.lists(st.one_of(st.just(0.0), st.floats(40, 800)), max_size=40), st.floats(4, 6), st.floats(0.01, 1))
def test_pitch_survives_its_normalisation(values, mean, std):
    f0, statistics = np.array(values, dtype=np.float32), F0Statistics(mean=mean, std=std)
    z, voiced = normalize_f0(f0, statistics)
    np.testing.assert_allclose(denormalize_f0(z, voiced, statistics), f0, rtol=1e-4)


@few
@given(seed=seeds, n_samples=st.integers(1, 3000), rate=st.integers(4000, 50000), out=st.sampled_from([16000, 22050]))
def test_resampling_gives_the_rounded_length_at_any_rate(seed, n_samples, rate, out):
    wav = resample(noise(seed, n_samples), rate, out)
    assert len(wav) == max(1, round(n_samples * out / rate))
    assert wav.dtype == np.float32 and np.isfinite(wav).all()


@few
@given(seed=seeds, n_samples=st.integers(1, 3000), rate=st.sampled_from([8000, 16000, 22050, 48000]))
def test_a_written_wav_is_read_back(tmp_path, seed, n_samples, rate):
    wav = noise(seed, n_samples)
    write_audio(tmp_path / "a.wav", wav, rate)
    again, found = read_audio(tmp_path / "a.wav", strict=True)
    assert found == rate
    np.testing.assert_allclose(again, wav, atol=1.01 / 32768)


@few
@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=50))
def test_integers_keep_their_ratio_to_full_scale(values):
    np.testing.assert_array_equal(to_wav(np.array(values, dtype=np.int16)), np.array(values) / 32768)


@few
@given(texts)
def test_any_text_becomes_words_once_and_for_all_or_is_refused(text):
    try:
        spoken = normalize(text)
    except TextError:
        return
    assert not any(c.isdigit() for c in spoken) and "\n" not in spoken
    assert any(c.isalpha() for c in spoken)
    normalize(spoken, strict=True)


@few
@given(st.lists(texts, max_size=5), st.sampled_from(["characters", "espeak"]))
def test_any_lines_keep_their_places_in_a_front_end(lines, name):
    if name == "espeak":
        pytest.importorskip("phonemizer")
    symbols = get_frontend(name).phonemize(lines)
    assert len(symbols) == len(lines)
    for line in filter(None, symbols):
        assert line[-1] in PUNCTUATION and line[0] not in {*PUNCTUATION, WORD_BOUNDARY}


@few
@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3), max_size=8), min_size=1, max_size=5
    )
)
def test_any_symbols_survive_the_table_and_its_file(tmp_path, corpus):
    lines = [[s for s in line if "\n" not in s and "\r" not in s] for line in corpus]
    tokens = Tokens.build(lines)
    tokens.save(tmp_path / "tokens.txt")
    again = Tokens.load(tmp_path / "tokens.txt")
    assert again.symbols == tokens.symbols
    for line in lines:
        sounds = [s for s in line if s not in {*PUNCTUATION, WORD_BOUNDARY}]
        if sounds:
            ids = again.encode(line, strict=True)
            assert [again.symbols[i] for i in ids] == line and PAD_ID not in ids


@few
@given(st.text(max_size=300), st.integers(1, 60))
def test_splitting_loses_only_white_space(text, max_chars):
    pieces = list(split_sentences(text, max_chars))
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < len(piece) <= max_chars for piece in pieces)

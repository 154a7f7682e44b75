"""Conversion with a random model: what a swap changes and what stays, pieces, batches, seeds."""

import dataclasses
import tracemalloc
import types

import numpy as np
import pytest
import soundfile
import torch

from tts.audio.mel import MelExtractor
from tts.audio.pitch import F0Statistics
from tts.data.content_file import ContentKind
from tts.errors import ModelError
from tts.inference.attributes import Voice, mix
from tts.inference.chunks import ChunkPlan
from tts.inference.converter import VoiceConverter, load_content
from tts.inference.model_folder import save_model_folder
from tts.inference.results import join
from tts.inference.synthesizer import Synthesizer
from tts.speech.config import Attribute, ContentConfig
from tts.speech.griffin_lim import GriffinLim
from tts.speech.model import SourceFilterModel
from tts.speech.recognizer import LoadedRecognizer, PhoneRecognizer
from tts.testing import make_model_folder, make_tone, seeded, speak, tiny_recognizer_config

RATE = 16000
SOURCE = speak("ma ne li mo nu na", 120.0)
TARGET = speak("li mo nu ma ne", 220.0, formant_scale=1.2)


@pytest.fixture(scope="module")
def long_wav():
    """25 s; no second repeats another."""
    return np.concatenate([speak("ma ne li mo nu na me lu " * 2, f0) for f0 in (100, 110, 125, 140, 160, 90)])


def convert(converter, target="ada", source=SOURCE, **options):
    return converter.convert(source, target, **({"steps": 1} | options))


def voiced_both(a, b):
    return (a.f0 > 0) & (b.f0 > 0)


def test_what_comes_back_is_as_long_as_the_source_and_is_an_audio(converter):
    audio = convert(converter)
    frames = len(SOURCE) // 256 + 1
    assert audio.mel.shape == audio.source_prior.shape == audio.filter_prior.shape == (80, frames)
    assert audio.f0.shape == (frames,)
    assert len(audio.wav) == frames * 256
    assert (audio.sample_rate, audio.vocoder, audio.phones, len(audio.durations)) == (RATE, "level", [], 0)
    assert set(audio.seconds) == {"content", "priors", "denoisers", "vocoder"}


def test_transposed_f0_has_the_statistics_of_the_target_and_the_contour_of_the_source(converter):
    own, audio = converter.encode(SOURCE), convert(converter, TARGET)
    target = converter.voices.find(TARGET).f0
    log_f0 = np.log(audio.f0[audio.f0 > 0])
    assert log_f0.mean() == pytest.approx(target.mean, abs=1e-4)
    assert log_f0.std() == pytest.approx(target.std, abs=1e-4)
    source = np.log(own.hz.numpy()[audio.f0 > 0])
    assert np.corrcoef(source, log_f0)[0, 1] == pytest.approx(1.0, abs=1e-5)


def test_only_the_filter_leaves_f0_and_source_prior_as_they_are(converter):
    itself = convert(converter, None, source_style="source", filter_style="source")
    swapped = convert(converter, "bob", source_style="source")
    np.testing.assert_allclose(swapped.f0, converter.encode(SOURCE).hz, rtol=1e-5)
    np.testing.assert_allclose(swapped.source_prior, itself.source_prior, atol=1e-5)
    assert np.abs(swapped.filter_prior - itself.filter_prior).mean() > 0.01


def test_only_the_source_leaves_the_filter_prior_as_it_is_and_moves_f0(converter):
    itself = convert(converter, None, source_style="source", filter_style="source")
    swapped = convert(converter, TARGET, filter_style="source")
    np.testing.assert_allclose(swapped.filter_prior, itself.filter_prior, atol=1e-5)
    assert np.abs(swapped.source_prior - itself.source_prior).mean() > 0.01
    assert np.median(swapped.f0[swapped.f0 > 0]) > 1.4 * np.median(itself.f0[itself.f0 > 0])


@pytest.mark.parametrize(("pitch", "factor"), [("keep", 1.0), (3, 2**0.25), (-12.0, 0.5)])
def test_kept_and_moved_f0_is_that_of_the_source_in_any_voice(converter, pitch, factor):
    audio = convert(converter, TARGET, pitch=pitch)
    np.testing.assert_allclose(audio.f0, factor * converter.encode(SOURCE).hz.numpy(), rtol=1e-5)


def test_a_drawn_contour_is_spoken(converter):
    drawn = np.linspace(100, 300, len(SOURCE) // 256 + 1)
    drawn[:40] = 0
    np.testing.assert_allclose(convert(converter, pitch=drawn).f0, drawn, rtol=1e-5)
    with pytest.raises(ValueError, match=f"contour has 3 frames, the source {len(drawn)}"):
        convert(converter, pitch=np.ones(3))


def test_what_the_source_prior_is_given_is_f0_under_its_own_voice(converter, monkeypatch):
    """z and Hz go together: Hz = exp(mean + std z) with the statistics of the style that goes with them."""
    seen = {}
    priors = converter.model.priors

    def spy(content, pitch, f0, mask, **others):
        seen.update(pitch=pitch, f0=f0)
        return priors(content, pitch, f0, mask, **others)

    monkeypatch.setattr(converter.model, "priors", spy)
    other = Voice(torch.zeros(16), F0Statistics(mean=5.5, std=0.3))
    for pitch in ("transpose", "keep", 4):
        convert(converter, source_style=other, pitch=pitch)
        voiced = seen["f0"] > 0
        torch.testing.assert_close(seen["f0"][voiced].log(), 5.5 + 0.3 * seen["pitch"][voiced], atol=1e-4, rtol=0)
    assert voiced.any()


def test_a_blend_lies_between_its_two_targets(converter):
    a, b = (convert(converter, name, sampler="prior") for name in ("ada", TARGET))
    for weight in (0.0, 0.3, 1.0):
        between = convert(converter, "ada", blend=(TARGET, weight), sampler="prior")
        for name in ("source_prior", "filter_prior", "mel"):
            expected = (1 - weight) * getattr(a, name) + weight * getattr(b, name)
            np.testing.assert_allclose(getattr(between, name), expected, atol=1e-4)
        voiced = between.f0 > 0
        expected = (1 - weight) * np.log(a.f0[voiced]) + weight * np.log(b.f0[voiced])
        np.testing.assert_allclose(np.log(between.f0[voiced]), expected, atol=1e-4)


def test_a_voice_between_speakers_is_a_target(converter):
    ada, bob = (converter.voices.find(name) for name in ("ada", "bob"))
    ends = [convert(converter, mix(ada, bob, weight)) for weight in (0.0, 1.0)]
    for end, name in zip(ends, ("ada", "bob"), strict=True):
        np.testing.assert_allclose(end.mel, convert(converter, name).mel, atol=1e-5)


def test_encoded_and_rendered_again_is_what_convert_gives(converter):
    attributes = converter.encode(SOURCE)
    rendered = converter.render(attributes, steps=1, seed=3)
    direct = convert(converter, None, source_style="source", filter_style="source", seed=3)
    np.testing.assert_allclose(rendered.mel, direct.mel, atol=1e-4)
    edited = attributes.with_source(converter.voices.find(TARGET)).with_filter(converter.voices.find(TARGET))
    np.testing.assert_allclose(converter.render(edited, steps=1).mel, convert(converter, TARGET).mel, atol=1e-4)


def test_a_known_speakers_statistics_take_the_place_of_the_recordings(converter):
    assert converter.encode(SOURCE, speaker="ada").f0 == converter.loaded.statistics.of_speaker("ada")


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ancestral"])
def test_a_batch_equals_its_singles(converter, long_wav, sampler):
    sources = [SOURCE, make_tone(150, 0.7), long_wav[: 12 * RATE], TARGET]
    options = {"filter_style": "bob", "pitch": "keep", "steps": 2, "sampler": sampler}
    batch = converter.convert_batch(sources, "ada", seeds=[1, 2, 3, 4], **options)
    for source, seed, together in zip(sources, (1, 2, 3, 4), batch, strict=True):
        alone = converter.convert(source, "ada", seed=seed, **options)
        np.testing.assert_allclose(together.mel, alone.mel, atol=1e-4)
        np.testing.assert_allclose(together.wav, alone.wav, atol=1e-3)
        np.testing.assert_allclose(together.f0, alone.f0)
    with pytest.raises(ValueError, match="as many seeds"):
        converter.convert_batch([SOURCE], "ada", seeds=[1, 2])


def test_a_seed_means_the_same_wave_and_leaves_the_global_state(converter):
    state = torch.random.get_rng_state()
    first, again, other = (convert(converter, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(first.wav, again.wav)
    assert not np.array_equal(first.mel, other.mel)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_stream_gives_what_convert_gives(converter, long_wav):
    pieces = list(converter.stream(long_wav, TARGET, steps=1, seed=5))
    whole = convert(converter, TARGET, long_wav, seed=5)
    assert len(pieces) > 3
    for name in ("wav", "mel", "f0"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in pieces], -1), getattr(whole, name))
    assert max(p.duration for p in pieces) <= converter.latency()
    assert converter.latency() == pytest.approx(10.0 + 0.15 + 3 / 62.5, abs=0.05)


def jumps(audio, config):
    """How far level (dB) and log-mel (mean over bands) of the wave move from each frame to the next, two (T - 1,)."""
    mel = MelExtractor(config)(torch.from_numpy(audio.wav)[None])[0, :, :-1]
    level = 10 * np.log10(np.square(audio.wav).reshape(-1, 256).mean(1) + 1e-8)
    return np.abs(np.diff(level)), mel.diff(dim=1).abs().mean(0).numpy()


def test_seams_jump_no_more_than_the_rest_of_the_wave(converter, long_wav, monkeypatch):
    monkeypatch.setattr(converter, "vocoder", GriffinLim(converter.audio))
    options = {"steps": 2, "temperature": 1.0, "chunk_seconds": 2.0}
    audio = join(converter.stream(long_wav[: 12 * RATE], TARGET, **options))
    plan = ChunkPlan.of_seconds(2.0, converter.audio)
    seams = np.array([w.start for w in plan.windows(audio.mel.shape[1])][1:])
    assert len(seams) == 5
    near = (seams[:, None] + np.arange(-plan.fade // 2 - 1, plan.fade // 2 + 2)).ravel()
    for moved in jumps(audio, converter.audio):
        rest = np.delete(moved, near)
        assert moved[near].max() <= rest.max()
        assert moved[near].mean() <= 1.25 * rest.mean()


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ancestral"])
def test_pieces_of_another_length_are_nearly_the_same_draw(converter, long_wav, sampler):
    options = {"steps": 4, "sampler": sampler, "temperature": 1.0}
    fine, coarse, other = (
        join(converter.stream(long_wav[: 12 * RATE], TARGET, chunk_seconds=seconds, seed=seed, **options)).mel
        for seconds, seed in ((2.0, 1), (12.0, 1), (12.0, 2))
    )
    assert np.abs(fine - coarse).mean() < 0.2 * np.abs(other - coarse).mean()


def test_memory_does_not_grow_with_the_file(converter, tmp_path):
    second = make_tone(130, 1.0)

    def peak(seconds):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.tile(second, seconds), RATE)
        tracemalloc.start()
        for _ in converter.stream(path, "ada", sampler="prior"):
            pass
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(12)  # what the first use of anything keeps
    assert peak(48) < 1.2 * peak(24)


def test_attributes_of_another_model_are_refused(converter):
    attributes = converter.encode(SOURCE)
    with pytest.raises(ModelError, match=r"sizes \(7, 16, 16, 16000\), this model \(8, 16, 16, 16000\)"):
        converter.render(type(attributes)(**(vars(attributes) | {"content": torch.zeros(7, attributes.frames)})))


def with_recognizer(folder, loaded, **choices):
    """A model folder that hears with a tiny recogniser, and its converter."""
    tokens = loaded.tokens
    recognizer = seeded(lambda: PhoneRecognizer(tiny_recognizer_config(len(tokens))), spread=0.1)
    hearing = LoadedRecognizer(model=recognizer, tokens=tokens, statistics=loaded.statistics, card="")
    content = ContentConfig(kind=ContentKind.ppg, dim=recognizer.config.content_dim, n_phones=len(tokens))
    config = dataclasses.replace(loaded.model.config, content=content, **choices)
    model = seeded(lambda: SourceFilterModel(config), spread=0.05)
    save_model_folder(folder, dataclasses.replace(loaded, model=model, recognizer=hearing), "# A random model\n")
    return VoiceConverter.from_pretrained(folder, device="cpu")


@pytest.mark.parametrize("attributes", [("source", "filter"), ("source", "filter", "average")])
def test_a_model_folder_with_a_recognizer_converts_and_speaks(converter, tmp_path, attributes):
    made = with_recognizer(tmp_path / "model", converter.loaded, attributes=tuple(Attribute(a) for a in attributes))
    audio = made.convert(SOURCE, "ada", steps=1)
    assert np.isfinite(audio.wav).all()
    assert audio.vocoder == "griffin_lim"
    batch = made.convert_batch([SOURCE, TARGET], "ada", blend=("bob", 0.5), steps=1)
    np.testing.assert_allclose(batch[1].mel, made.convert(TARGET, "ada", blend=("bob", 0.5), steps=1).mel, atol=1e-4)
    assert len(Synthesizer.from_pretrained(tmp_path / "model", device="cpu").synthesize("Me lo.", steps=1).wav) > 0


def test_a_model_that_speaks_text_only_is_refused(tmp_path):
    with pytest.raises(ModelError, match="speaks text only, it cannot hear recordings"):
        VoiceConverter.from_pretrained(make_model_folder(tmp_path / "model"), device="cpu")


def test_a_network_with_features_of_another_size_is_refused(converter, monkeypatch):
    encoder = types.SimpleNamespace(info=types.SimpleNamespace(dim=768))
    monkeypatch.setattr("tts.inference.converter.SslContent", lambda *_: encoder)
    with pytest.raises(ModelError, match="my net: 768 features a frame, the model was trained with 8"):
        load_content(converter.loaded, torch.device("cpu"), "my net")

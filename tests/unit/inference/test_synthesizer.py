"""The synthesizer and its model folder: what it gives, what it refuses."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from tts.errors import AudioError, ConfigError, GlottisError, ModelError, SpeakerError, TextError
from tts.inference.long_form import speak_lines, speak_long
from tts.inference.model_folder import load_model_folder
from tts.inference.pack import pack_model
from tts.inference.synthesizer import Synthesizer
from tts.speech.model import Priors
from tts.testing import make_model_folder, make_tone


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def tts(folder):
    return Synthesizer.from_pretrained(folder, device="cpu")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_speech_has_the_length_of_its_durations_and_names_its_vocoder(tts):
    audio = tts.synthesize("Me lo na.", steps=2)
    frames = int(audio.durations.sum())
    assert len(audio.wav) == frames * 256 and audio.sample_rate == 16000
    assert audio.mel.shape == audio.source_prior.shape == audio.filter_prior.shape == (80, frames)
    assert audio.f0.shape == (frames,) and len(audio.phones) == len(audio.durations)
    assert audio.vocoder == "griffin_lim" and np.isfinite(audio.wav).all() and audio.rtf > 0


def test_the_priors_add_up_to_the_prior_mel(tts):
    audio = tts.synthesize("Me lo na.", sampler="prior")
    np.testing.assert_allclose(audio.source_prior + audio.filter_prior, audio.mel, atol=1e-4)


def test_a_batch_equals_its_singles(tts):
    texts = ["Me lo.", "Na mi lu lo na."]
    batch = tts.synthesize_batch(texts, seeds=[1, 2], steps=3)
    for text, seed, together in zip(texts, (1, 2), batch, strict=True):
        alone = tts.synthesize(text, seed=seed, steps=3)
        np.testing.assert_allclose(together.mel, alone.mel, atol=1e-4)
        assert together.durations.tolist() == alone.durations.tolist()


def test_a_seed_means_the_same_wave_and_leaves_the_global_state(tts):
    state = torch.random.get_rng_state()
    first, again, other = (tts.synthesize("Me lo na.", seed=s, steps=2) for s in (7, 7, 8))
    assert np.array_equal(first.wav, again.wav) and not np.array_equal(first.mel, other.mel)
    assert torch.equal(state, torch.random.get_rng_state())


def test_speed_and_pitch_do_what_they_say(tts):
    plain, fast = tts.synthesize("Me lo na mi lu."), tts.synthesize("Me lo na mi lu.", speed=2.0)
    assert fast.durations.sum() == pytest.approx(plain.durations.sum() / 2, abs=1)
    high = tts.synthesize("Me lo na mi lu.", pitch_shift=12)
    voiced = plain.f0 > 0
    if voiced.any():
        np.testing.assert_allclose(high.f0[voiced], 2 * plain.f0[voiced], rtol=1e-4)


@pytest.mark.parametrize(
    "bad",
    [
        *({"speed": 0}, {"speed": -1.0}, {"speed": float("nan")}, {"pitch_shift": 99}, {"steps": 0}, {"steps": 10**7}),
        *({"temperature": -1}, {"sampler": "pf"}, {"steps": True}),
    ],
)
def test_options_out_of_range_name_themselves(tts, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        tts.synthesize("Me lo.", **bad)


@pytest.mark.parametrize("text", ["", "   ", "?!... —", "\n\t"])
def test_nothing_to_speak_is_an_error(tts, text):
    with pytest.raises(TextError, match="nothing to speak"):
        tts.synthesize(text)
    with pytest.raises(TextError, match="nothing to speak"):
        list(tts.stream(text))


def test_unknown_speakers_list_the_known(tts):
    with pytest.raises(SpeakerError, match=tts.speakers[0]):
        tts.synthesize("Me lo.", style="nobody")


def test_a_recording_gives_a_style_and_a_short_one_is_refused(tts, tmp_path):
    soundfile.write(tmp_path / "long.wav", make_tone(150, 1.2), 16000)
    soundfile.write(tmp_path / "short.wav", make_tone(150, 0.3), 16000)
    styled, plain = tts.synthesize("Me lo.", style=tmp_path / "long.wav"), tts.synthesize("Me lo.")
    assert styled.mel.shape != plain.mel.shape or not np.allclose(styled.mel, plain.mel)
    with pytest.raises(AudioError, match=r"0\.30 s of reference"):
        tts.synthesize("Me lo.", style=tmp_path / "short.wav")


def test_a_stream_speaks_every_sentence_in_order(tts):
    pieces = list(tts.stream("Me lo na. Mi lu! --- Na me?", steps=1))
    assert [p.phones[-1] for p in pieces] == [".", "!", "?"]


def test_a_hundred_thousand_characters_without_a_space_begin_at_once(tts):
    stream = tts.stream("mela" * 25000, max_chars=40, steps=1, sampler="prior")
    assert len(next(stream).wav) > 0 and len(next(stream).wav) > 0


def test_long_text_goes_into_one_file(tts, tmp_path):
    seconds = speak_long(tts, "Me lo na. Mi lu.", tmp_path / "out" / "a.wav", steps=1)
    info = soundfile.info(tmp_path / "out" / "a.wav")
    assert info.duration == pytest.approx(seconds) and info.samplerate == 16000
    with pytest.raises(AudioError, match="cannot write"):
        speak_long(tts, "Me lo.", tmp_path / "a.xyz")


def test_lines_keep_their_numbers_and_empty_ones_have_no_wave(tts, tmp_path):
    (tmp_path / "lines.txt").write_bytes("\ufeffMe lo.\r\n\r\nNa mi.\r\n".encode())
    assert speak_lines(tts, tmp_path / "lines.txt", tmp_path / "waves", steps=1) == 2
    assert sorted(p.name for p in (tmp_path / "waves").iterdir()) == ["1.wav", "3.wav"]
    with pytest.raises(AudioError, match="--overwrite"):
        speak_lines(tts, tmp_path / "lines.txt", tmp_path / "waves", steps=1)


def test_packing_gives_the_same_model_with_a_card_and_a_zip(folder, tmp_path):
    archive = pack_model(folder, tmp_path / "packed", data="Synthetic tones.")
    first, second = load_model_folder(folder), load_model_folder(tmp_path / "packed")
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name])
    assert len({path.stat().st_mode for path in (tmp_path / "packed").iterdir()}) == 1  # whoever reads one reads all
    card = (tmp_path / "packed" / "README.md").read_text()
    assert "Synthetic tones." in card and first.model.config.audio.fingerprint() in card
    assert archive.stat().st_size > 1000


def edit_config(folder, change):
    values = json.loads((folder / "config.json").read_text())
    change(values)
    (folder / "config.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(kind="other"), "kind"),
        (lambda v: v.update(version=99), "version"),
        (lambda v: v["model"].update(_target_="os.system"), "_target_"),
        (lambda v: v["model"].update(content_dim="16"), "content_dim"),
        (lambda v: v["model"].update(content_dim=8), "tensor"),
        (lambda v: v["model"].update(content_dim=-5), "content_dim: found -5, expected 1 to 8192"),
        (lambda v: v["model"]["text"].update(heads=0), "heads: found 0"),
        (lambda v: v["model"]["denoiser"].update(channels=[]), r"channels: found \(\)"),
        (lambda v: v["model"]["denoiser"].update(channels=[13, 13]), "these sizes make no model"),
        (lambda v: v["model"].update(n_tokens=3), "symbols"),
        (lambda v: v["sampling"].update(steps=0), "steps"),
    ],
)
def test_a_foreign_config_is_refused_by_name(copy, change, message):
    edit_config(copy, change)
    with pytest.raises((ModelError, ConfigError), match=message):
        load_model_folder(copy)


@pytest.mark.parametrize("content", ["[]", "null", '"text"', "{"])
def test_a_config_that_is_no_table_is_refused(copy, content):
    (copy / "config.json").write_text(content)
    with pytest.raises(GlottisError):
        load_model_folder(copy)


def test_missing_and_extra_tensors_are_listed_and_nothing_is_loaded(copy):
    weights = load_file(copy / "model.safetensors")
    weights.pop("text.embed.weight")
    save_file(weights | {"surplus": torch.zeros(1)}, copy / "model.safetensors")
    with pytest.raises(ModelError, match=r"missing text\.embed\.weight.*unexpected surplus"):
        load_model_folder(copy)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokens.txt", "statistics.safetensors", "speakers.safetensors", "config.json"]
)
def test_a_missing_or_cut_file_is_one_kind_error(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(GlottisError):
        load_model_folder(copy)
    (copy / name).unlink()
    with pytest.raises(GlottisError):
        load_model_folder(copy)


def test_a_pickle_in_disguise_is_refused(copy):
    torch.save({"a": torch.zeros(1)}, copy / "model.safetensors")
    with pytest.raises(ModelError, match="pickle"):
        load_model_folder(copy)


def test_priors_of_another_mel_are_refused_before_any_compute(tts):
    priors = Priors({"source": torch.zeros(1, 40, 5), "filter": torch.zeros(1, 40, 5)}, {}, {})
    with pytest.raises(ModelError, match="40 mel bands, this model makes 80"):
        tts.model.composite(priors, torch.ones(1, 1, 5))

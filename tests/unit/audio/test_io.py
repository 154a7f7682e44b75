import logging

import numpy as np
import pytest
import soundfile
import torch

from tts.audio.io import read_audio, resample, to_wav, write_audio
from tts.errors import AudioError
from tts.testing import make_tone


@pytest.fixture(scope="module")
def tone():
    return make_tone(150.0, 0.5)


# reading: files that are not audio


def test_a_missing_file_is_called_missing(tmp_path):
    with pytest.raises(AudioError, match=r"^no such file: .*gone\.wav$"):
        read_audio(tmp_path / "gone.wav")


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is a text\n", bytes(range(256)) * 4], ids=["zero bytes", "text", "garbage"]
)
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.txt", "a.raw"])
def test_what_is_not_audio_is_refused_with_the_formats_that_are(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=r"is not audio libsndfile can read \(.*\); supported: wav, flac"):
        read_audio(tmp_path / name)


def test_a_directory_is_not_audio(tmp_path):
    with pytest.raises(AudioError, match="is not audio libsndfile can read"):
        read_audio(tmp_path)


def test_a_name_that_no_file_can_have_is_an_audio_error(tmp_path):
    for name in ("x" * 300 + ".wav", "a\0b.wav"):
        with pytest.raises(AudioError):
            read_audio(tmp_path / name)


def test_a_header_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, dtype=np.float32), 16000)
    with pytest.raises(AudioError, match=r"empty\.wav has no samples"):
        read_audio(tmp_path / "empty.wav")


# reading: files with defects


@pytest.mark.parametrize("extension", ["wav", "aiff", "au", "w64", "flac", "mp3"])
def test_a_file_cut_short_is_read_with_a_warning_and_refused_when_strict(tmp_path, caplog, extension):
    whole, cut = tmp_path / f"whole.{extension}", tmp_path / f"cut.{extension}"
    wav = np.tile(make_tone(150.0, 0.2), 8)
    soundfile.write(whole, wav, 16000)
    assert len(read_audio(whole)[0]) == len(wav) and not caplog.records
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    samples, _ = read_audio(cut)
    assert 0 < len(samples) < len(wav)
    assert len(caplog.records) == 1 and f"{len(samples)} could be read" in caplog.text
    with pytest.raises(AudioError, match="is cut short: its header promises"):
        read_audio(cut, strict=True)


def test_both_lengths_of_a_wav_cut_short_are_exact(tmp_path, caplog, tone):
    path = tmp_path / "a.wav"
    write_audio(path, tone, 16000)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 1234])
    assert len(read_audio(path)[0]) == 1234
    assert "promises 8000 samples, 1234 could be read" in caplog.text


def test_a_streamed_wav_without_a_length_is_not_cut_short(tmp_path, caplog, tone):
    path = tmp_path / "a.wav"
    write_audio(path, tone, 16000)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(read_audio(path, strict=True)[0]) == len(tone)
    assert not caplog.records


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_sample_that_is_not_finite_is_named(tmp_path, value):
    wav = np.zeros(1000, dtype=np.float32)
    wav[[137, 500]] = value
    soundfile.write(tmp_path / "a.wav", wav, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"a\.wav: sample 137 is -?(nan|inf) \(2 of 1000"):
        read_audio(tmp_path / "a.wav")


def test_a_missing_sample_in_one_channel_is_named_by_its_frame(tmp_path):
    wav = np.zeros((100, 2), dtype=np.float32)
    wav[40, 1] = np.nan
    soundfile.write(tmp_path / "a.wav", wav, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match="sample 40 is nan"):
        read_audio(tmp_path / "a.wav")


# reading: good files


def test_silence_and_very_quiet_audio_are_read_as_they_are(tmp_path):
    write_audio(tmp_path / "silence.wav", np.zeros(1000), 16000)
    assert np.array_equal(read_audio(tmp_path / "silence.wav")[0], np.zeros(1000))
    quiet = 1e-3 * make_tone(150.0, 0.1)
    soundfile.write(tmp_path / "quiet.wav", quiet, 16000, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "quiet.wav")[0], quiet)


def test_clipped_audio_is_accepted(tmp_path, tone):
    clipped = np.clip(20 * tone, -1, 1)
    soundfile.write(tmp_path / "a.wav", clipped, 16000, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "a.wav")[0], clipped)


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_are_averaged(tmp_path, channels):
    wav = np.random.default_rng(0).uniform(-1, 1, (500, channels)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wav, 16000, subtype="FLOAT")
    mono, rate = read_audio(tmp_path / "a.wav")
    assert mono.shape == (500,) and mono.dtype == np.float32 and mono.flags.c_contiguous and rate == 16000
    np.testing.assert_allclose(mono, wav.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("rate", [7919, 8000, 11025, 22050, 44100, 48000, 192000])
def test_any_rate_is_resampled_to_the_rounded_length(tmp_path, rate):
    n_samples = rate // 4 + 1
    saw = 0.3 * (np.arange(n_samples) * 150.0 / rate % 1 - 0.5)
    soundfile.write(tmp_path / "a.wav", saw, rate)
    wav, out_rate = read_audio(tmp_path / "a.wav", 16000)
    assert (len(wav), out_rate) == (round(n_samples * 16000 / rate), 16000)
    assert wav.dtype == np.float32 and np.abs(wav).max() > 0.1


def test_narrowband_audio_is_warned_about_when_it_is_raised(tmp_path, caplog):
    soundfile.write(tmp_path / "a.wav", make_tone(150.0, 0.1, 8000), 8000)
    read_audio(tmp_path / "a.wav")
    assert not caplog.records
    read_audio(tmp_path / "a.wav", 16000)
    assert "narrowband (8000 Hz): nothing above 4000 Hz" in caplog.text


@pytest.mark.parametrize(("extension", "rate"), [("wav", 16000), ("flac", 44100), ("ogg", 8000)])
def test_nothing_is_read_after_max_seconds_and_that_is_not_a_file_cut_short(tmp_path, caplog, extension, rate):
    path = tmp_path / f"a.{extension}"
    write_audio(path, np.tile(make_tone(150.0, 0.25, rate), 4), rate)
    whole, _ = read_audio(path, strict=True)
    for seconds, length in ((0.7, round(0.7 * rate)), (1e-9, 1), (5.0, len(whole))):
        assert np.array_equal(read_audio(path, strict=True, max_seconds=seconds)[0], whole[:length])
    assert not caplog.records
    for seconds in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="max_seconds must be positive"):
            read_audio(path, max_seconds=seconds)


@pytest.mark.parametrize("name", ["with space.wav", "ünïcödé 音.wav", "-leading.wav", "x" * 251 + ".wav"])
def test_awkward_file_names_work(tmp_path, name, tone):
    write_audio(tmp_path / name, tone, 16000)
    assert len(read_audio(tmp_path / name)[0]) == len(tone)
    assert [p.name for p in tmp_path.iterdir()] == [name]


# resampling


@pytest.mark.parametrize(("rate", "out"), [(44100, 16000), (16000, 22050), (7919, 16000), (22050, 16001)])
def test_resampling_keeps_a_tone_in_place(rate, out):
    def chirpless(r):
        time = np.arange(r // 2) / r
        return (0.3 * np.sin(2 * np.pi * 200 * time) + 0.2 * np.sin(2 * np.pi * 900 * time + 1)).astype(np.float32)

    wav = resample(chirpless(rate), rate, out)
    inner = slice(out // 20, -out // 20)
    np.testing.assert_allclose(wav[inner], chirpless(out)[: len(wav)][inner], atol=5e-3)


def test_equal_rates_return_the_samples_untouched(tone):
    assert np.array_equal(resample(tone, 16000, 16000), tone)


@pytest.mark.parametrize("rate", [0, -16000])
def test_a_rate_that_is_not_positive_is_named(tmp_path, tone, rate):
    with pytest.raises(ValueError, match=f"must be positive, found {rate}"):
        resample(tone, rate, 16000)
    with pytest.raises(ValueError, match=f"must be positive, found {rate}"):
        resample(tone, 16000, rate)
    with pytest.raises(ValueError, match=f"must be positive, found {rate}"):
        write_audio(tmp_path / "a.wav", tone, rate)
    with pytest.raises(ValueError, match=f"must be positive, found {rate}"):
        read_audio(tmp_path / "a.wav", rate)


# arrays


def test_integers_are_scaled_to_unit_range():
    np.testing.assert_array_equal(to_wav(np.array([-32768, 0, 16384], dtype=np.int16)), [-1, 0, 0.5])
    np.testing.assert_array_equal(to_wav(np.array([-(2**31), 2**30], dtype=np.int32)), [-1, 0.5])
    np.testing.assert_array_equal(to_wav(np.array([0, 128, 192], dtype=np.uint8)), [-1, 0, 0.5])


@pytest.mark.parametrize(
    "array",
    [
        [0.0, 0.25, -0.5],
        np.array([0.0, 0.25, -0.5]),
        np.array([0.0, 9, 0.25, 9, -0.5], dtype=np.float32)[::2],
        np.array([[0.0, 0.25, -0.5]]),
        np.array([[0.0], [0.25], [-0.5]]),
        np.array([[0.5, 0.5, 0.0], [-0.5, 0.0, -1.0]]),
        torch.tensor([[0.0, 0.25, -0.5]], requires_grad=True),
        np.array([0.0, 0.25, -0.5], dtype=">f8"),
    ],
    ids=["list", "float64", "non-contiguous", "(1, N)", "(N, 1)", "stereo", "tensor", "big-endian"],
)
def test_every_kind_of_array_becomes_contiguous_float32(array):
    wav = to_wav(array)
    assert wav.dtype == np.float32 and wav.flags.c_contiguous
    np.testing.assert_array_equal(wav, np.array([0.0, 0.25, -0.5], dtype=np.float32))


@pytest.mark.parametrize("shape", [(3, 100), (100, 3), (2, 2, 100)])
def test_an_array_whose_channels_are_not_clear_is_refused(shape):
    with pytest.raises(AudioError, match=r"is ambiguous; expected \(N,\)"):
        to_wav(np.zeros(shape))


@pytest.mark.parametrize("array", [[], np.zeros((1, 0)), np.zeros((0, 2), dtype=np.int16)])
def test_an_array_without_samples_is_refused(array):
    with pytest.raises(AudioError, match="has no samples"):
        to_wav(array)


@pytest.mark.parametrize(
    "array", [[1, 2, 3], [True, False], [1j, 2j], ["a", "b"], None], ids=["int64", "bool", "complex", "text", "None"]
)
def test_values_that_have_no_audio_scale_are_refused(array):
    with pytest.raises(TypeError, match="a waveform has floats, int16, int32 or uint8 samples, found"):
        to_wav(array)


def test_the_first_value_of_an_array_that_is_not_finite_is_named():
    with pytest.raises(AudioError, match="waveform: sample 2 is nan"):
        to_wav([0.0, 0.0, float("nan"), float("inf")])


# writing


@pytest.mark.parametrize("extension", ["wav", "flac", "WAV"])
def test_what_is_written_is_read_back_to_16_bits(tmp_path, tone, extension):
    path = tmp_path / f"a.{extension}"
    write_audio(path, tone, 22050)
    wav, rate = read_audio(path)
    assert rate == 22050
    np.testing.assert_allclose(wav, tone, atol=1.01 / 32768)


@pytest.mark.parametrize("extension", ["ogg", "mp3"])
def test_lossy_formats_are_written(tmp_path, tone, extension):
    write_audio(tmp_path / f"a.{extension}", tone, 16000)
    wav, _ = read_audio(tmp_path / f"a.{extension}")
    assert abs(len(wav) - len(tone)) < 2500 and np.abs(wav).max() > 0.2


def test_samples_beyond_full_scale_are_clipped_with_one_warning(tmp_path, caplog):
    write_audio(tmp_path / "a.wav", [0.5, 1.5, -2.0, 0.0], 16000)
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "2 of 4 samples beyond [-1, 1] were clipped (peak 2)" in caplog.text
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], [0.5, 1.0, -1.0, 0.0], atol=1e-4)


def test_normalize_scales_the_peak_and_leaves_silence_alone(tmp_path, caplog):
    write_audio(tmp_path / "a.wav", [0.5, 2.0, -1.0], 16000, normalize=True)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], [0.2375, 0.95, -0.475], atol=1e-4)
    write_audio(tmp_path / "b.wav", np.zeros(10), 16000, normalize=True)
    assert not read_audio(tmp_path / "b.wav")[0].any()
    assert not caplog.records


def test_samples_that_are_not_finite_are_never_written(tmp_path):
    with pytest.raises(AudioError, match="sample 1 is nan"):
        write_audio(tmp_path / "a.wav", [0.0, float("nan")], 16000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a", "a.txt", "a.wave"])
def test_an_unknown_extension_is_refused(tmp_path, name, tone):
    with pytest.raises(AudioError, match=r"cannot write .* Use \.wav \.flac"):
        write_audio(tmp_path / name, tone, 16000)


def test_a_missing_folder_is_named(tmp_path, tone):
    with pytest.raises(AudioError, match=r"the folder .*gone does not exist"):
        write_audio(tmp_path / "gone" / "a.wav", tone, 16000)


def test_an_existing_file_is_kept_unless_overwriting_is_allowed(tmp_path, tone):
    path = tmp_path / "a.wav"
    write_audio(path, tone, 16000)
    before = path.read_bytes()
    with pytest.raises(AudioError, match="exists already"):
        write_audio(path, tone[:100], 16000, overwrite=False)
    assert path.read_bytes() == before
    write_audio(path, tone[:100], 16000)
    assert len(read_audio(path)[0]) == 100


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, tone, monkeypatch):
    path = tmp_path / "a.wav"
    write_audio(path, tone, 16000)
    before = path.read_bytes()

    def full_disk(file, *args, **kwargs):
        file.write_bytes(b"RIFF")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_audio(path, tone[:100], 16000)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_a_rate_the_format_cannot_hold_is_an_audio_error(tmp_path, tone):
    with pytest.raises(AudioError, match=r"could not be written .*12345 Hz"):
        write_audio(tmp_path / "a.mp3", tone, 12345)
    assert not list(tmp_path.iterdir())

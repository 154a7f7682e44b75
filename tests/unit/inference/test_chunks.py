"""Pieces of long speech: where they lie, that fading and vocoding piece by piece is seamless."""

import itertools

import pytest
import torch

from tts.audio.mel import MelExtractor
from tts.config import AudioConfig
from tts.inference.chunks import ChunkPlan, cross_fade, vocode
from tts.speech.griffin_lim import GriffinLim
from tts.speech.hifigan import HifiGan, vocoder_preset
from tts.testing import make_tone, seeded, tiny_vocoder_config

AUDIO = AudioConfig()
PLAN = ChunkPlan.of_seconds(6.0, AUDIO)


def test_a_plan_is_in_frames():
    assert ChunkPlan(chunk=375, context=62, fade=18) == PLAN
    for seconds in (0.5, 31, float("nan"), True):
        with pytest.raises(ValueError, match="chunk_seconds must be from 1 to 30"):
            ChunkPlan.of_seconds(seconds, AUDIO)


@pytest.mark.parametrize("seconds", [1.0, 6.0, 30.0])
def test_windows_cover_every_frame_once_and_have_their_context(seconds):
    plan = ChunkPlan.of_seconds(seconds, AUDIO)
    for n_frames in [*range(1, 900, 7), 5000, 100_000]:
        windows = plan.windows(n_frames)
        assert windows[0].start == 0
        assert windows[-1].stop == windows[-1].end == n_frames
        for a, b in itertools.pairwise(windows):
            assert a.stop == b.start
            assert a.end - b.first >= plan.fade
            assert a.end - a.stop >= plan.fade // 2
        assert max(w.stop - w.start for w in windows) <= plan.longest


def test_pieces_of_one_signal_are_that_signal_again():
    whole = torch.randn(4, 2000, generator=torch.Generator().manual_seed(0))
    windows = PLAN.windows(2000)
    assert len(windows) == 5
    faded = torch.cat(list(cross_fade((whole[:, w.first : w.end] for w in windows), windows, PLAN.fade)), 1)
    torch.testing.assert_close(faded, whole, atol=1e-6, rtol=0)


def test_pieces_that_differ_change_over_linearly_and_the_last_row_at_the_seam():
    windows = PLAN.windows(800)
    assert [w.start for w in windows] == [0, 375]
    pieces = [torch.full((2, w.end - w.first), float(i)) for i, w in enumerate(windows)]
    faded = torch.cat(list(cross_fade(pieces, windows, PLAN.fade)), 1)
    assert faded[:, :366].max() == 0
    assert faded[:, 384:].min() == 1
    torch.testing.assert_close(faded[0, 366:384], (torch.arange(18) + 0.5) / 18)
    assert faded[1].tolist() == [0.0] * 375 + [1.0] * 425


VOCODERS = {
    "griffin_lim": lambda: GriffinLim(AUDIO),
    "tiny": lambda: seeded(lambda: HifiGan(tiny_vocoder_config())),
    "light": lambda: seeded(lambda: HifiGan(vocoder_preset("light", AUDIO))),
}


@pytest.mark.parametrize("name", VOCODERS)
@pytest.mark.parametrize("size", [30, 90])
def test_a_mel_vocoded_in_pieces_gives_the_wave_of_the_whole(name, size):
    vocoder = VOCODERS[name]()
    mel = MelExtractor(AUDIO)(torch.from_numpy(make_tone(140, 3.0))[None])[0]
    mel = mel + 0.3 * torch.randn(mel.shape, generator=torch.Generator().manual_seed(0))
    whole = vocoder(mel[None])[0]
    made = list(vocode(vocoder, mel.split(size, dim=1)))
    assert len(made) > 1
    torch.testing.assert_close(torch.cat([frames for frames, _ in made], 1), mel)
    torch.testing.assert_close(torch.cat([wav for _, wav in made]), whole, atol=1e-4, rtol=0)
    assert all(len(wav) == frames.shape[1] * 256 for frames, wav in made)

"""The source-filter model: batches, swaps, the composite, durations."""

import pytest
import torch
import torch.nn.functional as F

from tts.errors import ModelError
from tts.nets.blocks import lengths_to_mask
from tts.speech.config import DenoiserInputs, DenoiserKind, ParametrizationKind
from tts.speech.filter import AudioContent, expand_durations
from tts.speech.model import Priors, SourceFilterModel, parameter_counts
from tts.speech.sampling import SMOOTH_WIDTH, SamplingOptions, UtteranceNoise, sample_mel, smooth
from tts.speech.text_encoder import DurationPredictor
from tts.testing import seeded, tiny_speech_config

CASES = [
    {"kind": DenoiserKind.unet1d, "inputs": DenoiserInputs.all},
    {"kind": DenoiserKind.unet1d, "inputs": DenoiserInputs.own, "parametrization": ParametrizationKind.eps},
    {"kind": DenoiserKind.unet2d, "inputs": DenoiserInputs.own},
    {"kind": DenoiserKind.unet2d, "inputs": DenoiserInputs.all, "parametrization": ParametrizationKind.v},
]


def tiny(**choices):
    return seeded(lambda: SourceFilterModel(tiny_speech_config(9, **choices)), spread=0.03)


def inputs(lengths):
    generator = torch.Generator().manual_seed(0)
    mask = lengths_to_mask(torch.tensor(lengths))
    shape = (len(lengths), mask.shape[-1])
    content = torch.rand(shape[0], 16, shape[1], generator=generator) * mask
    pitch = torch.randn(shape, generator=generator) * mask[:, 0]
    f0 = 200 * torch.rand(shape, generator=generator).round() * mask[:, 0]
    style = torch.randn(shape[0], 16, generator=generator)
    return content, pitch, f0, style, mask


def render(model, data, options, seeds, lengths):
    content, pitch, f0, style, mask = data
    with torch.inference_mode():
        priors = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style)
        return sample_mel(model, priors, mask, options, UtteranceNoise(seeds, lengths))


@pytest.mark.parametrize("choices", CASES, ids=lambda c: "-".join(v.value for v in c.values()))
@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ancestral"])
def test_a_batch_equals_its_singles(choices, sampler):
    model, lengths = tiny(**choices), [21, 14]
    options, data = SamplingOptions(sampler=sampler, steps=3), inputs(lengths)
    batch = render(model, data, options, [5, 6], lengths)
    for i, n in enumerate(lengths):
        cut = [x[i : i + 1, ..., :n] if x.ndim > 1 and x.shape[-1] == 21 else x[i : i + 1] for x in data]
        single = render(model, cut, options, [5 + i], [n])
        torch.testing.assert_close(batch[i : i + 1, :, :n], single, atol=1e-4, rtol=1e-4)
        assert batch[i, :, n:].abs().sum() == 0


@pytest.mark.parametrize("choices", CASES, ids=lambda c: "-".join(v.value for v in c.values()))
def test_forty_frames_of_padding_change_no_valid_frame(choices):
    model, data = tiny(**choices), inputs([21, 14])
    found = []
    for frames in (0, 40):
        content, pitch, f0, style, mask = (F.pad(x, (0, frames)) if x.shape[-1] == 21 else x for x in data)
        u = F.pad(torch.randn(2, 80, 21, generator=torch.Generator().manual_seed(1)) * data[-1], (0, frames))
        with torch.inference_mode():
            priors = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style)
            g = model.style(u, mask)
            eps = model.composite(priors, mask)(u, torch.tensor([0.2, 0.9])) * mask
        found.append((g, *(x[..., :21] for x in (*priors.mels.values(), eps))))
    for plain, padded in zip(*found, strict=True):
        torch.testing.assert_close(padded, plain, atol=1e-5, rtol=0)


def test_a_swap_changes_one_prior_only():
    model = tiny()
    content, pitch, f0, style, mask = inputs([12])
    other = style.flip(1)
    plain = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style).mels
    swapped = model.priors(content, pitch, f0, mask, source_style=style, filter_style=other).mels
    assert torch.equal(plain["source"], swapped["source"])
    assert (plain["filter"] - swapped["filter"]).abs().max() > 1e-3


def test_each_denoiser_is_told_the_voice_of_its_own_attribute():
    model = tiny()
    content, pitch, f0, style, mask = inputs([12])
    u, t = torch.randn(1, 80, 12, generator=torch.Generator().manual_seed(2)), torch.full((1,), 0.5)

    def outputs(**styles):
        priors = model.priors(content, pitch, f0, mask, **styles)
        alike = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style)
        terms = model.composite(Priors(alike.mels, alike.embeddings, priors.styles), mask).terms
        return [term.network(u, t) for term in terms]

    with torch.no_grad():
        plain = outputs(source_style=style, filter_style=style)
        source = outputs(source_style=style.flip(1), filter_style=style)
        filter_ = outputs(source_style=style, filter_style=style.flip(1))
    assert torch.equal(plain[1], source[1]) and torch.equal(plain[0], filter_[0])
    assert not torch.equal(plain[0], source[0]) and not torch.equal(plain[1], filter_[1])


def test_the_audio_entrance_is_deaf_to_level_and_range_of_what_are_no_phones():
    entrance = seeded(lambda: AudioContent(9, 4, 16, 0.0)).eval()
    generator, mask = torch.Generator().manual_seed(0), lengths_to_mask(torch.tensor([30, 20]))
    features = torch.randn(2, 9, 30, generator=generator)
    other = features.clone()
    other[:, 4:] = 3 * features[:, 4:] + torch.linspace(-5, 5, 5)[:, None]
    padded = torch.where(mask > 0, features, 100.0)
    with torch.no_grad():
        plain = entrance(features, mask)
        torch.testing.assert_close(entrance(other, mask), plain, atol=1e-3, rtol=0)  # 1e-4 is added to a variance of 1
        torch.testing.assert_close(entrance(padded, mask), plain)
        torch.testing.assert_close(entrance(features[1:, :, :20], mask[1:, :, :20]), plain[1:, :, :20])
        other[:, :4] *= 2
        assert (entrance(other, mask) - plain).abs().max() > 0.05


def test_the_source_prior_hears_no_content_and_the_filter_prior_no_pitch():
    model = tiny()
    content, pitch, f0, style, mask = inputs([12])
    plain = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style).mels
    new_content = model.priors(content.flip(1), pitch, f0, mask, source_style=style, filter_style=style).mels
    new_pitch = model.priors(content, pitch + 1, f0, mask, source_style=style, filter_style=style).mels
    assert torch.equal(plain["source"], new_content["source"]) and torch.equal(plain["filter"], new_pitch["filter"])
    assert not torch.equal(plain["filter"], new_content["filter"]) and not torch.equal(plain["source"], new_pitch["source"])


def test_untrained_denoisers_sample_the_gaussian_of_the_priors():
    model = seeded(lambda: SourceFilterModel(tiny_speech_config(9)))
    model.residual_std.fill_(0.3)
    content, pitch, f0, style, mask = (x.expand(200, *x.shape[1:]) for x in inputs([16]))
    options, lengths = SamplingOptions(steps=30, temperature=1.0, anchor=0.0), [16] * 200
    sample = render(model, (content, pitch, f0, style, mask), options, list(range(200)), lengths)
    priors = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style)
    residual = sample - priors.mean.detach()
    assert residual.mean().abs() < 3 * 0.3 / residual.numel() ** 0.5 * 1.1
    assert residual.std() == pytest.approx(0.3, rel=0.02)


def test_prior_sampling_gives_the_sum_of_the_priors():
    model, data = tiny(), inputs([10])
    content, pitch, f0, style, mask = data
    priors = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style)
    expected = priors.mels["source"] + priors.mels["filter"]
    torch.testing.assert_close(render(model, data, SamplingOptions(sampler="prior"), [0], [10]), expected)


def test_the_smooth_part_is_the_gaussian_mean_of_what_is_there():
    generator = torch.Generator().manual_seed(0)
    x, mask = torch.randn(1, 30, 25, generator=generator), lengths_to_mask(torch.tensor([20]), 25)
    band, frame = torch.arange(30.0)[:, None], torch.arange(25.0)
    for m, t in ((0, 0), (15, 10), (29, 19)):
        weight = torch.exp(-((band - m) ** 2 + (frame - t) ** 2) / (2 * SMOOTH_WIDTH**2)) * mask[0, 0]
        near = ((band - m).abs() <= 5) & ((frame - t).abs() <= 5)  # three widths
        weight = weight * near
        assert smooth(x, mask)[0, m, t].item() == pytest.approx(((weight * x[0]).sum() / weight.sum()).item(), abs=1e-5)
    assert not smooth(x, mask)[..., 20:].any()
    flat = 0.7 * mask.expand(1, 30, 25)
    torch.testing.assert_close(smooth(flat, mask), flat)


def test_an_anchor_keeps_the_smooth_part_of_the_priors_and_lets_the_fine_part_vary():
    model = seeded(lambda: SourceFilterModel(tiny_speech_config(9)))
    data, mask = inputs([40]), torch.ones(1, 1, 40)
    content, pitch, f0, style, _ = data
    prior = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style).mean.detach()
    parts = {}
    for anchor in (0.0, 0.5, 1.0):
        options = SamplingOptions(steps=8, temperature=1.0, anchor=anchor)
        residual = render(model, data, options, [0], [40]) - prior
        coarse = smooth(residual, mask)
        parts[anchor] = coarse.square().mean(), (residual - coarse).square().mean()
    assert parts[1.0][0] < 0.25 * parts[0.0][0]
    assert parts[1.0][0] < parts[0.5][0] < parts[0.0][0]
    assert parts[1.0][1] > 0.9 * parts[0.0][1]


def test_zero_temperature_is_deterministic_and_seeds_hold():
    model, data = tiny(), inputs([10])
    cold = [render(model, data, SamplingOptions(temperature=0.0, steps=4), [seed], [10]) for seed in (1, 2)]
    torch.testing.assert_close(cold[0], cold[1])
    warm = [render(model, data, SamplingOptions(steps=4), [seed], [10]) for seed in (1, 1, 2)]
    assert torch.equal(warm[0], warm[1]) and not torch.equal(warm[0], warm[2])


def test_noise_of_an_utterance_does_not_depend_on_its_neighbours():
    pair, single = UtteranceNoise([3, 4], [5, 9]), UtteranceNoise([4], [9])
    for _ in range(2):
        assert torch.equal(pair(torch.zeros(2, 8, 9))[1:], single(torch.zeros(1, 8, 9)))


@pytest.mark.parametrize(
    "bad",
    [
        *({"anchor": -0.1}, {"anchor": 1.1}, {"anchor": float("nan")}),
        *({"steps": 0}, {"steps": -1}, {"steps": True}, {"steps": 10**6}, {"temperature": -0.1}, {"temperature": float("nan")}),
        *({"sampler": "magic"}, {"grid": "cubic"}, {"start": 0.0}, {"start": 1.5}),
    ],
)
def test_sampling_options_out_of_range_name_themselves(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        SamplingOptions(**bad)


def test_every_frame_belongs_to_the_phone_whose_time_it_is():
    index, position = expand_durations(torch.tensor([[2, 0, 3], [1, 1, 0]]), 6)
    assert index.tolist() == [[0, 0, 2, 2, 2, 2], [0, 1, 2, 2, 2, 2]]
    assert position[0, :5].tolist() == [0, 1, 0, 1, 2]


def test_speed_divides_the_whole_length_without_rounding_away_phones():
    log_durations, mask = torch.log1p(torch.full((1, 40), 2.4)), torch.ones(1, 1, 40)
    assert DurationPredictor.to_frames(log_durations, 1.0, mask).sum() == 96
    assert DurationPredictor.to_frames(log_durations, 2.0, mask).sum() == 48
    padded = DurationPredictor.to_frames(log_durations, 1.0, torch.cat((torch.ones(1, 1, 10), torch.zeros(1, 1, 30)), -1))
    assert padded[0, 10:].sum() == 0 and padded.sum() == 24


@pytest.mark.parametrize("astray", [float("nan"), float("inf"), 9.0])
def test_durations_of_damaged_weights_are_refused_before_they_fill_the_memory(astray):
    log_durations, mask = torch.tensor([[1.0, astray]]), torch.ones(1, 1, 2)
    with pytest.raises(ModelError, match="expected 2000 at most"):
        DurationPredictor.to_frames(log_durations, 1.0, mask)


def test_parameter_counts_add_up():
    model = tiny()
    counts = parameter_counts(model)
    assert counts["total"] == sum(p.numel() for p in model.parameters())
    assert {"source", "filter", "denoiser source", "denoiser filter"} <= counts.keys()

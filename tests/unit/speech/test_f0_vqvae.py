"""The F0 VQ-VAE: size, code length, batches, gradients, its folder."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tts.errors import ConfigError, DataError, ModelError
from tts.nets.blocks import lengths_to_mask
from tts.speech.config import F0VqVaeConfig
from tts.speech.f0_vqvae import F0VqVae, load_f0_vqvae, save_f0_vqvae
from tts.testing import seeded, tiny_f0_vqvae_config


def make(config=None, seed=0):
    """A random network whose codes lie on its own latents."""
    vqvae = seeded(lambda: F0VqVae(config or tiny_f0_vqvae_config()), seed)
    generator = torch.Generator().manual_seed(seed)
    found = vqvae(torch.randn(4, 64, generator=generator), torch.ones(4, 1, 64))
    vqvae.codebook.start(found.latents, generator)
    return vqvae


def pitch_of(lengths, frames=None):
    mask = lengths_to_mask(torch.tensor(lengths), frames)
    return torch.randn(len(lengths), mask.shape[-1], generator=torch.Generator().manual_seed(5)), mask


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_are_the_papers():
    vqvae = F0VqVae(F0VqVaeConfig())
    assert [count(vqvae.encoder), count(vqvae.decoder), vqvae.codebook.vectors.numel()] == [91_520, 108_161, 2_560]
    assert count(vqvae) + vqvae.codebook.vectors.numel() == 202_241


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 63, 64, 65])
def test_there_is_one_code_for_every_four_frames_or_part_of_four(frames):
    vqvae = make()
    pitch, mask = pitch_of([frames])
    codes = vqvae.encode(pitch, mask)
    assert codes.shape == (1, -(-frames // 4))
    assert codes.dtype == torch.int64
    assert vqvae.decode(codes, mask).shape == (1, frames)


def test_a_batch_equals_its_singles_and_padding_stays_zero():
    vqvae, lengths = make().double(), [37, 1, 16, 22, 30]
    pitch, mask = pitch_of(lengths, 45)
    pitch, mask = pitch.double(), mask.double()  # what stands in the padding is no zero
    codes = vqvae.encode(pitch, mask)
    decoded, latents = vqvae.decode(codes, mask), vqvae.latents(pitch, mask)
    for i, n in enumerate(lengths):
        one, one_mask, n_codes = pitch[i : i + 1, :n], mask[i : i + 1, :, :n], -(-n // 4)
        torch.testing.assert_close(latents[i, :, :n_codes], vqvae.latents(one, one_mask)[0], atol=1e-12, rtol=0)
        assert torch.equal(codes[i, :n_codes], vqvae.encode(one, one_mask)[0])
        torch.testing.assert_close(decoded[i, :n], vqvae.decode(codes[i : i + 1, :n_codes], one_mask)[0], atol=1e-12, rtol=0)
        assert not codes[i, n_codes:].any() and not decoded[i, n:].any() and not latents[i, :, n_codes:].any()


def test_the_encoder_sees_four_points_a_frame_on_the_line_between_frames():
    vqvae, seen = make(), []
    vqvae.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    vqvae.latents(torch.arange(6.0)[None], torch.ones(1, 1, 6))
    # four points a frame, 1/4 frame apart, the frame in their middle; held before the first and after the last, to 8 frames
    expected = ((torch.arange(32) - 1.5) / 4).clamp(min=0, max=5)
    torch.testing.assert_close(seen[0][0, 0], expected)


def test_a_frame_is_the_mean_of_its_four_points():
    vqvae = make()
    vqvae.decoder.forward = lambda vectors, mask: torch.arange(32.0)[None, None]
    decoded = vqvae.decode(torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 1, 7))
    torch.testing.assert_close(decoded[0], 4 * torch.arange(7.0) + 1.5)


def test_the_gradient_passes_straight_through_the_codes():
    vqvae = make()
    pitch, mask = pitch_of([32])
    found, taken = [], []

    def keep(module, inputs, output):
        output.retain_grad()
        found.append(output)

    vqvae.encoder.register_forward_hook(keep)
    vqvae.decoder.register_forward_pre_hook(lambda _, inputs: inputs[0].retain_grad() or taken.append(inputs[0]))
    result = vqvae(pitch, mask)
    result.pitch.square().sum().backward()
    assert torch.equal(found[0].grad, taken[0].grad)
    assert found[0].grad.abs().sum() > 0
    torch.testing.assert_close(taken[0][0].T, vqvae.codebook.lookup(result.codes))


def test_commitment_is_the_mean_square_way_from_latent_to_code_without_padding():
    vqvae, (pitch, mask) = make(), pitch_of([32, 13])
    found = vqvae(pitch, mask)
    assert found.latents.shape == (8 + 4, 8)
    away = found.latents - vqvae.codebook.vectors[found.codes]
    torch.testing.assert_close(found.commitment, away.square().mean())
    parameters = list(vqvae.named_parameters())
    gradients = torch.autograd.grad(found.commitment, [p for _, p in parameters], allow_unused=True)
    assert {n.split(".")[0] for (n, _), g in zip(parameters, gradients, strict=True) if g is not None} == {"encoder"}


def test_a_folder_gives_the_same_network_back_with_the_averages_of_its_codebook(tmp_path):
    vqvae = make()
    save_f0_vqvae(tmp_path / "f0", vqvae, "# card\n")
    loaded = load_f0_vqvae(tmp_path / "f0")
    assert loaded.config == vqvae.config
    assert not loaded.training
    for name, value in vqvae.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    assert sorted(path.name for path in (tmp_path / "f0").iterdir()) == ["README.md", "config.json", "model.safetensors"]


@pytest.fixture
def folder(tmp_path):
    save_f0_vqvae(tmp_path / "f0", make(), "")
    return tmp_path / "f0"


def edit(folder, change):
    values = json.loads((folder / "config.json").read_text())
    change(values)
    (folder / "config.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda v: v.update(kind="hifigan"), ModelError, r"found kind and version \('hifigan', 1\).*train-pitch"),
        (lambda v: v.update(version=2), ModelError, r"\('f0_vqvae', 2\), expected \('f0_vqvae', 1\)"),
        (lambda v: v.update(_target_="os.system"), ConfigError, "config.json._target_: unknown key"),
        (lambda v: v["model"].update(n_codes="6"), ConfigError, "config.json.model.n_codes: found '6', expected int"),
        (lambda v: v["model"].update(channels=10**9), ConfigError, "f0_vqvae.channels: found 1000000000, expected 1 to 8192"),
        (lambda v: v["model"].update(depth=9), ConfigError, "f0_vqvae.depth: found 9, expected 1 to 8"),
        (lambda v: v["model"].update(decay=1.0), ConfigError, "f0_vqvae.decay: found 1.0"),
        (lambda v: v["model"].update(frame_rate=0), ConfigError, "f0_vqvae.frame_rate: found 0"),
        (lambda v: v["model"].update(n_codes=7), ModelError, r"codebook.vectors has shape \(6, 8\), expected \(7, 8\)"),
    ],
)
def test_a_foreign_configuration_is_refused_by_name(folder, change, error, message):
    edit(folder, change)
    with pytest.raises(error, match=message):
        load_f0_vqvae(folder)


def test_weights_without_the_averages_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["codebook.sums"], tensors["codebook.counts"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"missing codebook\.sums; missing codebook\.counts"):
        load_f0_vqvae(folder)


def test_what_is_no_folder_of_one_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"config\.json: no such file"):
        load_f0_vqvae(tmp_path)
    torch.save({"a": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="this is a pickle"):
        load_f0_vqvae(folder)

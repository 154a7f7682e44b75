"""Supervised Guided-VAE: what its three phases move, what they ask for, and labels that do not fit."""

import math

import pytest
import torch

from tts.errors import DataError
from tts.image.guided_vae import GuidedVae
from tts.image.vae_config import GuidedVaeConfig


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_model(attributes=(0,), classes=(2,)):
    torch.manual_seed(0)
    sizes = {"size": 8, "width": 4, "hidden": 16, "n_units": 5, "classifier_width": 8}
    return GuidedVae(GuidedVaeConfig(attributes=attributes, classes=classes, **sizes))


def batch(n=12):
    x = torch.rand(n, 3, 8, 8, generator=generator()) * 2 - 1
    return x, torch.stack((torch.arange(n) % 2, torch.arange(n) % 3), dim=1)


def moved(model, loss):
    """The names of the networks whose parameters the loss has a gradient for."""
    model.zero_grad()
    loss.backward()
    return {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_each_phase_moves_only_what_it_trains():
    model, (x, labels) = make_model(attributes=(0, 1), classes=(2, 3)), batch()
    names = {id(p): name.split(".")[0] for name, p in model.named_parameters()}
    expected = {"main": {"encoder", "decoder", "classifiers"}, "adversary": {"adversaries"}, "inhibition": {"encoder"}}
    assert model.phases == tuple(expected)
    for phase, networks in expected.items():
        loss = sum(model.losses(x, labels, generator(), phase=phase).values())
        assert moved(model, loss) == networks
        assert {names[id(p)] for p in model.parameters_of(phase)} == networks


def test_excitation_asks_the_first_unit_alone_and_inhibition_all_others():
    model, (x, labels) = make_model(), batch()
    leave = model.encoder.leave.weight  # rows 0 … 4 give the means
    for phase, name, asked in (("main", "excitation", [0]), ("inhibition", "inhibition", [1, 2, 3, 4])):
        model.zero_grad()
        model.losses(x, labels, generator(), phase=phase)[name].backward()
        assert leave.grad[:5].abs().sum(1).nonzero().flatten().tolist() == asked


def test_excitation_is_the_binary_cross_entropy_for_two_classes():
    model, (x, labels) = make_model(), batch()
    with torch.no_grad():
        model.classifiers[0].leave.weight.zero_()
        model.classifiers[0].leave.bias.copy_(torch.tensor([0.0, math.log(3)]))  # the probability of class 1 is 3/4
    excitation = model.losses(x, labels, generator())["excitation"].item()
    assert excitation == pytest.approx(200 * (math.log(4) + math.log(4 / 3)) / 2, rel=1e-5)


def test_inhibition_is_least_where_the_adversary_is_at_a_loss():
    model, (x, labels) = make_model(), batch()
    with torch.no_grad():
        model.adversaries[0].leave.weight.zero_()
        model.adversaries[0].leave.bias.zero_()
    lost = model.losses(x, labels, generator(), phase="inhibition")["inhibition"].item()
    assert lost == pytest.approx(200 * math.log(2), rel=1e-5)
    with torch.no_grad():
        model.adversaries[0].leave.bias[1] = 1.0
    assert model.losses(x, labels, generator(), phase="inhibition")["inhibition"].item() > lost


def test_labels_that_do_not_fit_are_told():
    model, (x, labels) = make_model(attributes=(1,), classes=(2,)), batch()
    with pytest.raises(DataError, match="needs labels"):
        model.losses(x, None, generator())
    with pytest.raises(DataError, match=r"1 columns.*column 1"):
        model.losses(x, labels[:, :1], generator(), phase="adversary")
    with pytest.raises(DataError, match=r"column 1 has values 0 to 2, model\.classes expects 0 to 1"):
        model.losses(x, labels, generator())

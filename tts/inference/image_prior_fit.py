"""How far the codes of images, taken together, are from the prior that they are held to."""

import torch
from torch import Tensor

from tts.image.divergence import mmd
from tts.image.encdiff import EncDiff
from tts.image.infodiffusion import InfoDiffusion
from tts.image.model import RepresentationModel
from tts.image.priors import DiscretePrior, Gaussian, Prior
from tts.image.vae import Vae
from tts.image.vae_terms import sample_posterior

N_CODES, N_MOMENTS = 512, 20_000  # codes of the discrepancy; draws of the prior for its moments


def prior_figures(model: RepresentationModel, x: Tensor, seed: int = 0) -> dict[str, float]:
    """`prior_mmd`, `prior_mean`, `prior_std` of the codes z that training draws for images; none where there is no prior.

        prior_mmd    squared mean discrepancy of codes and draws p of the prior, about 0 for codes that follow it
        prior_mean   root mean square over all numbers of E z - E p, in deviations of p
        prior_std    the same of std z / std p - 1: 1 for codes that shrank to nothing

    Args:
        model: in evaluation, on the CPU or another device.
        x: images, (n, C, H, W) in [-1, 1]; the first 512 are taken.
        seed: of the draws.
    """
    prior = _prior_of(model)
    if prior is None:
        return {}
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        codes = _drawn_codes(model, x[:N_CODES].to(model.progress.device), generator).double().cpu()
    z, p = codes.flatten(1), prior.sample(N_MOMENTS, generator).double().flatten(1)
    std, mean = torch.std_mean(p, dim=0)
    return {
        "prior_mmd": mmd(z, p[: len(z)]).item(),
        "prior_mean": ((z.mean(0) - mean) / std).square().mean().sqrt().item(),
        "prior_std": (z.std(0) / std - 1).square().mean().sqrt().item(),
    }


def _prior_of(model: RepresentationModel) -> Prior | None:
    if isinstance(model, InfoDiffusion | EncDiff):
        return model.prior
    return Gaussian(model.config.n_units) if isinstance(model, Vae) else None


def _drawn_codes(model: RepresentationModel, x: Tensor, generator: torch.Generator) -> Tensor:
    """Codes (n, N, d): draws of the posterior where the method has one, so that its spread counts too."""
    if isinstance(model, Vae):
        return sample_posterior(*model.posterior(x), generator)[..., None]
    if isinstance(model, InfoDiffusion) and not isinstance(model.prior, DiscretePrior):
        return model.drawn_code(model.posterior(x), generator)
    return model.encode(x)

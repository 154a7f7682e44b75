"""The diffusion core that speech and images share: one state, one set of samplers, one loss. Tensors only."""

from tts.diffusion.composite import Composite, Term, classifier_free, classifier_guidance, log_prob_gradients
from tts.diffusion.edit_friendly import NoisePath, invert_noises
from tts.diffusion.likelihood import log_likelihood
from tts.diffusion.losses import WEIGHTINGS, TimeSampler, denoising_loss
from tts.diffusion.parametrization import Parametrization
from tts.diffusion.rescaled import from_published, sub_vp, variance_exploding
from tts.diffusion.samplers import SAMPLERS, invert, sample
from tts.diffusion.schedule import Schedule, cosine, from_betas, time_grid, vp_linear
from tts.diffusion.shifted import shifted
from tts.diffusion.state import (
    add_noise,
    asymmetric_edit,
    asymmetric_gain,
    eps_from_score,
    eps_from_v,
    eps_from_x0,
    expand_like,
    initial_state,
    score_from_eps,
    v_from,
    x0_from_eps,
    x0_from_v,
)

__all__ = [
    "SAMPLERS",
    "WEIGHTINGS",
    "Composite",
    "NoisePath",
    "Parametrization",
    "Schedule",
    "Term",
    "TimeSampler",
    "add_noise",
    "asymmetric_edit",
    "asymmetric_gain",
    "classifier_free",
    "classifier_guidance",
    "cosine",
    "denoising_loss",
    "eps_from_score",
    "eps_from_v",
    "eps_from_x0",
    "expand_like",
    "from_betas",
    "from_published",
    "initial_state",
    "invert",
    "invert_noises",
    "log_likelihood",
    "log_prob_gradients",
    "sample",
    "score_from_eps",
    "shifted",
    "sub_vp",
    "time_grid",
    "v_from",
    "variance_exploding",
    "vp_linear",
    "x0_from_eps",
    "x0_from_v",
]

"""The schedule of a configuration."""

from tts.diffusion import Schedule, cosine, shifted, sub_vp, variance_exploding, vp_linear
from tts.image.config import DiffusionConfig, ScheduleKind


def build_schedule(config: DiffusionConfig) -> Schedule:
    """The schedule of the variance-preserving state, shifted in log-SNR."""
    match config.schedule:
        case ScheduleKind.cosine:
            plain = cosine()
        case ScheduleKind.vp_linear:
            plain = vp_linear(config.beta_min, config.beta_max)
        case ScheduleKind.sub_vp:
            plain = sub_vp(config.beta_min, config.beta_max)
        case ScheduleKind.variance_exploding:
            plain = variance_exploding(config.sigma_min, config.sigma_max)
    return plain if config.shift == 1 else shifted(plain, config.shift)

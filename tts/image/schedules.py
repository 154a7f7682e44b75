"""The schedule of a configuration."""

from tts.diffusion import Schedule, cosine, shifted, vp_linear
from tts.image.config import DiffusionConfig, ScheduleKind


def build_schedule(config: DiffusionConfig) -> Schedule:
    """The variance-preserving schedule, shifted in log-SNR."""
    plain = cosine() if config.schedule is ScheduleKind.cosine else vp_linear(config.beta_min, config.beta_max)
    return plain if config.shift == 1 else shifted(plain, config.shift)

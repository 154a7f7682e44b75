"""What a training run needs beside the model; presets in conf/ override it, `glottis train key=value` overrides those."""

from dataclasses import dataclass, field

from tts.config import check_ranges
from tts.device import Precision
from tts.errors import ConfigError
from tts.speech.config import PitchKind, SpeechConfig


@dataclass(kw_only=True)
class LossWeights:
    """Weights of the summed loss."""

    prior: float = 1.0  # L1 of the sum of the priors against the mel
    duration: float = 0.3
    pitch: float = 0.3
    voicing: float = 0.3
    gauge: float = 0.01  # keeps energy in the filter prior
    match: float = 0.3  # content of text against content of audio
    diffusion: float = 1.0

    def __post_init__(self) -> None:
        check_ranges(self, "train.weights", "prior duration pitch voicing gauge match diffusion", 0, 1e6)


@dataclass(kw_only=True)
class OptimizerConfig:
    """AdamW with linear warm-up and cosine decay, once for the priors and once for the denoisers."""

    lr: float = 1e-3
    final_lr: float = 0.02  # of lr, at the end of each phase
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.01
    warmup: int = 200  # steps
    clip: float = 1.0  # global gradient norm
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        check_ranges(self, "train.optimizer", "lr final_lr weight_decay ema_decay", 0, 1)
        check_ranges(self, "train.optimizer", "beta1 beta2", 0, 0.9999999)
        check_ranges(self, "train.optimizer", "warmup", 0, 1e9)
        check_ranges(self, "train.optimizer", "clip", 1e-9, 1e9)


@dataclass(kw_only=True)
class TrainConfig:
    """One training run. Steps 0 to `prior_steps` train the priors alone; the rest trains the denoisers.

    With `freeze_priors` the denoisers stand on priors that no longer move (what a small machine wants), whose dropout stays
    on, so that a denoiser meets residuals as wide as those of unseen sentences; without, all train together, as in the paper.
    """

    model: SpeechConfig = field(default_factory=SpeechConfig)
    f0_vqvae: str = ""  # folder of a trained F0 VQ-VAE, where model.pitch is vq
    weights: LossWeights = field(default_factory=LossWeights)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    steps: int = 10000
    prior_steps: int = 4000
    freeze_priors: bool = True
    max_frames: int = 4000  # mel frames in a batch
    max_batch: int = 32
    reference_probability: float = 0.5  # style from another utterance of the speaker
    audio_probability: float = 0.5  # content from audio, where the model has that entrance, in place of text
    prior_mixup: float = 0.0  # priors in the style of another utterance of the batch; 0.5 with several speakers
    mixup_apart: bool = False  # draw it for source and filter independently
    segment_frames: int = 0  # crop for the denoisers; 0 = whole utterances
    checkpoint_every: int = 500  # steps
    keep: int = 5  # checkpoints kept for averaging
    figures_every: int = 1000
    log_every: int = 20
    precision: Precision = Precision.auto
    devices: int = 0  # CUDA devices; 0 = CPU
    cpu_processes: int = 1  # DDP over gloo when above 1
    threads: int = 2
    workers: int = 0  # processes that read data; 0 = this one
    max_bad_steps: int = 10  # consecutive non-finite steps before the run stops
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.prior_steps <= self.steps:
            raise ConfigError(f"train: need 0 < prior_steps <= steps, found {self.prior_steps} and {self.steps}.")
        if self.f0_vqvae and self.model.pitch is not PitchKind.vq:
            raise ConfigError(
                f"train.f0_vqvae: found {self.f0_vqvae!r} with model.pitch {self.model.pitch.value}; pitch vq alone takes one."
            )
        counts = "max_frames max_batch checkpoint_every keep figures_every log_every threads cpu_processes max_bad_steps"
        check_ranges(self, "train", counts, 1, 1e9)
        check_ranges(self, "train", "segment_frames workers devices seed", 0, 1e18)
        check_ranges(self, "train", "reference_probability audio_probability prior_mixup", 0, 1)

    @property
    def processes(self) -> int:
        """How many processes train: one a CUDA device, or `cpu_processes` without any."""
        return self.devices or self.cpu_processes

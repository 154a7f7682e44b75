"""How much every experiment trains and measures: fixed numbers of steps, never of minutes, so that figures are comparable."""

from dataclasses import dataclass

from tts.config import check_ranges


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The constants of a run of the experiments; the defaults are those that the tables are made with.

    Sprites serve: their size, place and shape are independent, can be read from the image, and one channel is cheapest. Their
    orientation cannot be read, for a square looks the same every quarter turn; it is in the features all the same.
    """

    data: str = "sprites"
    size: int = 32  # pixels
    min_skill: float = 0.9  # of the factor regressor, for a factor to be read out

    regressor_steps: int = 6000
    base_width: int = 48  # channels of the first level of its U-Net
    base_steps: int = 8000
    base_batch: int = 64
    sampling_steps: int = 50  # of DDIM, wherever an experiment does not say otherwise
    samples: int = 2000  # for a Fréchet distance
    small_samples: int = 500  # where a sampler is expensive; never compared with a distance of more
    ancestral_steps: int = 1000  # E0

    edit_steps: int = 40  # E1: S_train
    edit_many: int = 200  # E1: steps of the other grid
    edit_latents: int = 200  # E1: trained on, and as many others measured on
    edit_epochs: int = 4  # E1

    isometry_steps: int = 800  # E2: of each fine-tuning
    isometry_ratios: tuple[float, ...] = (0.3, 1.0, 3.0)  # E2: times `balance`; 0, the control, is always there
    isometry_balance: float = 0.075  # E2: gradient of the term over that of the loss, at 1
    geometry_pairs: int = 32  # E2: of noises
    path_draws: int = 1500  # E2: pairs of noises with a place on the arc, for the perceptual path length alone
    geometry_times: tuple[float, ...] = (1.0, 0.8, 0.6)  # E2
    geometry_steps: int = 20  # E2: of DDIM and of the arcs
    geometry_samples: int = 1000  # E2: for a Fréchet distance

    pooled_steps: int = 10000  # E3: of the model of half the side
    fisher_images: int = 256  # E3
    fisher_times: int = 21  # E3

    classifier_width: int = 16  # E4: channels of its first level
    classifier_steps: int = 12000  # E4
    classifier_held_out: int = 1000  # E4: images
    guided_samples: int = 400  # E4: for each weight
    guidance_weights: tuple[float, ...] = (0.0, 1.0, 3.0, 6.0)  # E4

    group_size: int = 16  # E5: pixels and places of the cyclic sprites
    group_steps: int = 4000  # E5
    turned_size: int = 32  # E5 with three factors: pixels, for a turn of a heart is 3 nats at 16 and 20 at 32
    turned_positions: int = 8  # E5 with three factors
    turned_orientations: int = 8  # E5 with three factors
    turned_steps: int = 5000  # E5 with three factors
    restarts: int = 4  # E5, E6
    path_steps: int = 20  # E6: of the denoising runs
    path_runs: int = 512  # E6: of which an eighth is held out
    path_training: int = 4000  # E6: steps

    inverted: int = 100  # E7: images
    inversion_steps: tuple[int, ...] = (10, 20, 50, 100, 200)  # E7
    pullback_points: int = 16  # E7
    pca_samples: int = 500  # E7

    def __post_init__(self) -> None:
        counts = [name for name, value in vars(self).items() if isinstance(value, int)]
        check_ranges(self, "experiments", " ".join(counts), 1, 1e9)
        check_ranges(self, "experiments", "isometry_balance", 1e-6, 1e3)


FAST = Sizes(
    size=16,
    min_skill=-1e9,
    regressor_steps=30,
    base_width=8,
    base_steps=40,
    base_batch=16,
    sampling_steps=6,
    samples=80,
    small_samples=80,
    ancestral_steps=8,
    edit_steps=20,
    edit_many=40,
    edit_latents=8,
    edit_epochs=1,
    isometry_steps=12,
    isometry_ratios=(1.0,),
    geometry_pairs=3,
    path_draws=12,
    geometry_times=(1.0,),
    geometry_steps=3,
    geometry_samples=80,
    pooled_steps=20,
    fisher_images=16,
    fisher_times=5,
    classifier_width=8,
    classifier_steps=10,
    classifier_held_out=32,
    guided_samples=70,
    guidance_weights=(0.0, 3.0),
    group_steps=20,
    turned_size=16,
    turned_steps=20,
    restarts=1,
    path_steps=12,
    path_runs=16,
    path_training=10,
    inverted=4,
    inversion_steps=(3, 6),
    pullback_points=2,
    pca_samples=70,
)

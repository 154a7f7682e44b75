"""Unsupervised Guided-VAE: two units of a code are scale and rotation, because a second decoder can do no more with them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.image.vae import Vae
from tts.image.vae_config import DeformableVaeConfig
from tts.image.vae_terms import reconstruction_error, sample_posterior


class DeformablePca(nn.Module):
    """A linear image, scaled and rotated: the light decoder of the unsupervised Guided-VAE.

        image(p) = (W z_content + b)( S(z_0) R(z_1) p ) ,   logits of pixels, p in [-1, 1]^2 from the centre
        S = diag(exp(-scale_rate z_0)) ,   R the rotation by angle_rate z_1, clockwise as seen

    A greater z_0 makes what is seen larger, and z_0 = z_1 = 0 leaves it. The published code has scales that are linear in z_0
    and may vanish, two samplings one after the other, and black around the image; here there is one sampling, and around the
    image its border goes on.

    Source: Ding et al. 2020, "Guided Variational Autoencoder for Disentanglement Learning".
    """

    def __init__(self, config: DeformableVaeConfig) -> None:
        super().__init__()
        self.shape = (config.channels, config.size, config.size)
        self.linear = nn.Linear(config.n_units - 2, config.channels * config.size**2)
        self.scale_rate = nn.Parameter(torch.full((2,), 0.2))  # of width and height
        self.angle_rate = nn.Parameter(torch.tensor(0.5))  # radians

    def forward(self, z: Tensor) -> Tensor:
        """z (B, N) -> logits (B, C, H, W)."""
        image = self.linear(z[:, 2:]).float().unflatten(1, self.shape)
        shrink = torch.exp(-self.scale_rate * z[:, :1])  # (B, 2)
        cos, sin = torch.cos(self.angle_rate * z[:, 1]), torch.sin(self.angle_rate * z[:, 1])
        rotation = torch.stack((cos, sin, -sin, cos), dim=1).unflatten(1, (2, 2))
        warp = F.pad(shrink[:, :, None] * rotation, (0, 1))  # (B, 2, 3), no shift
        with torch.autocast(z.device.type, enabled=False):  # half precision places pixels wrongly
            grid = F.affine_grid(warp, list(image.shape), align_corners=False)
            return F.grid_sample(image, grid, padding_mode="border", align_corners=False)

    def overlap(self) -> Tensor:
        """How far the images of the content units are from orthogonal: sum over i != j of |(W^T W)_ij|, scalar."""
        with torch.autocast(self.linear.weight.device.type, enabled=False):
            gram = self.linear.weight.T @ self.linear.weight
        return (gram - torch.diag(gram.diagonal())).abs().sum()


class DeformableVae(Vae):
    """Unit 0 must be scale and unit 1 rotation for `DeformablePca` to reconstruct from the same codes.

    loss = reconstruction + KL + light_weight · reconstruction by deformable PCA + orthogonality · sum_{i != j} |(W^T W)_ij|

    Source: Ding et al. 2020.
    """

    config: DeformableVaeConfig

    def __init__(self, config: DeformableVaeConfig) -> None:
        super().__init__(config)
        self.light = DeformablePca(config)

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See `RepresentationModel.losses`."""
        self.check_phase(phase)
        config = self.config
        mean, log_variance = self.posterior(x)
        z = sample_posterior(mean, log_variance, generator)
        light = reconstruction_error(self.light(z), x, config.likelihood, config.pixel_std).mean()
        return {
            "reconstruction": self.reconstruction(x, z),
            "kl": self.kl(mean, log_variance),
            "light_reconstruction": config.light_weight * light,
            "orthogonality": config.orthogonality * self.light.overlap(),
        }

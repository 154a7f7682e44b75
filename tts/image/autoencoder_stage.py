"""The autoencoder under the VQ and KL first stages: networks, scale, and the losses of training."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.image.stage_config import AutoencoderConfig
from tts.image.stage_losses import adaptive_weight, frozen_scores, hinge_discriminator_loss
from tts.nets.autoencoder import LatentDecoder, LatentEncoder, PatchDiscriminator
from tts.nets.perceptual import FeatureDistance, FeatureMaps


class AutoencoderStage(nn.Module, ABC):
    """What VQ and KL share: networks, `scale`, and training in the phases "main" and, with a discriminator, "discriminator".

    Args:
        config: sizes and weights.
        planes: what the encoder gives.
    """

    scale: Tensor
    features: FeatureMaps | None = None  # of the perceptual term

    def __init__(self, config: AutoencoderConfig, planes: int) -> None:
        super().__init__()
        self.config = config
        self.factor, self.latent_channels = config.factor, config.latent_channels
        self.encoder = LatentEncoder(config.channels, config.widths, config.blocks, planes)
        self.decoder = LatentDecoder(config.channels, config.widths, config.blocks, config.latent_channels)
        self.discriminator = PatchDiscriminator(config.channels, config.width) if config.adversarial else None
        self.phases = ("main", "discriminator") if config.adversarial else ("main",)
        self.register_buffer("scale", torch.ones(()))

    def take_features(self, network: FeatureMaps) -> None:
        """The frozen feature maps that the perceptual term of `losses` compares; they are no part of this module."""
        self.features = lambda x: network(x)  # a module would be registered as a part, and copied with it

    @abstractmethod
    def latents(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) -> unscaled latents (B, latent_channels, H / factor, W / factor), without noise or quantising."""

    @abstractmethod
    def _through(self, encoded: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """What the encoder gives -> the latents that training decodes, and the weighted losses of the bottleneck."""

    def _learn(self, encoded: Tensor, generator: torch.Generator) -> None:
        """What a bottleneck learns of a batch by itself, before the networks do."""

    def encode(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] -> y = scale x latents."""
        return self.scale * self.latents(x)

    def decode(self, y: Tensor) -> Tensor:
        """The images of y, (B, C, H, W), not clamped."""
        return self.decoder(y / self.scale)

    def finish(self, y: Tensor) -> Tensor:
        """The images of samples y that are done, (B, C, H, W), not clamped."""
        return self.decode(y)

    @torch.no_grad()
    def measure(self, x: Tensor) -> None:
        """Set `scale` to 1 / standard deviation of all latents of the images x (n, C, H, W)."""
        self.scale.copy_(1 / self.latents(x).std(correction=0).clamp(min=1e-6))

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """What the optimizer of this phase moves.

        Raises:
            ValueError: if the phase is unknown.
        """
        self._check_phase(phase)
        of_game = phase == "discriminator"
        return [p for name, p in self.named_parameters() if name.startswith("discriminator.") == of_game]

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """The scalars whose sum this phase minimises, already weighted.

            main           mean |x - x'| + perceptual + the bottleneck's - adaptive weight x mean D(x')
            discriminator  (mean max(0, 1 - D(x)) + mean max(0, 1 + D(x'))) / 2

        In training mode the "main" phase of a VQ stage also moves its codebook.

        Args:
            x: images, (B, C, H, W) in [-1, 1].
            labels: not used.
            generator: of every random draw, on the CPU.
            phase: one of `phases`.

        Raises:
            ValueError: if the phase is unknown, or the perceptual term has a weight but no features were taken.

        Source: Esser et al. 2021 (VQGAN); Rombach et al. 2022.
        """
        self._check_phase(phase)
        if phase == "discriminator" and self.discriminator is not None:
            with torch.no_grad():
                fake = self.decoder(self._through(self.encoder(x), generator)[0])
            return {"discriminator": hinge_discriminator_loss(self.discriminator(x), self.discriminator(fake))}
        encoded = self.encoder(x)
        if self.training:
            self._learn(encoded.detach(), generator)
        bottleneck, losses = self._through(encoded, generator)
        decoded = self.decoder(bottleneck)
        losses = {"reconstruction": F.l1_loss(decoded, x), **losses}
        if self.config.perceptual:
            if self.features is None:
                raise ValueError("the perceptual term has a weight above 0 but no features were given: call take_features.")
            distance = FeatureDistance(self.features)(decoded, x).mean()
            losses["perceptual"] = self.config.perceptual * distance
        if self.discriminator is not None:
            adversarial = -frozen_scores(self.discriminator, decoded).mean()
            error = losses["reconstruction"] + losses.get("perceptual", torch.zeros_like(adversarial))
            weight = adaptive_weight(error, adversarial, self.decoder.head.weight)
            losses["adversarial"] = self.config.adversarial * weight * adversarial
        return losses

    def _check_phase(self, phase: str) -> None:
        if phase not in self.phases:
            raise ValueError(f"unknown phase {phase!r}. Phases of this stage: {', '.join(self.phases)}.")

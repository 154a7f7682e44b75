"""Subspace Diffusion: above a time only a projection of the image is diffused, what is left out being Gaussian there."""

"""Images on the same core: scenes with known factors, representation learning with diffusion, and the baselines."""

"""The geometry of h-space: derivatives of the encoder half, how far it is from an isometry, straight paths, directions."""

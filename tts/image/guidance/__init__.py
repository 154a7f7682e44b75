"""Classifier guidance: gradients of what a classifier says of noisy images, combined over attributes, as one term."""

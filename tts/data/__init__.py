"""Corpora, data directories, features, batches, archives and downloads."""

"""Weights are told from pickles whatever the length of their header."""

import torch
from safetensors.torch import save_file
from torch import nn

from tts.nets.weights import load_weights


def test_a_header_whose_length_looks_like_the_start_of_a_pickle_is_read(tmp_path):
    path, starts = tmp_path / "model.safetensors", set()
    for letters in range(1, 300):  # a longer name makes a longer header
        module = nn.Module()
        module.register_buffer("w" * letters, torch.arange(2.0))
        save_file({name: value.contiguous() for name, value in module.state_dict().items()}, path)
        starts.add(path.read_bytes()[0])
        load_weights(module, path)
    assert 0x80 in starts

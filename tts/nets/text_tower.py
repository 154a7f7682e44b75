"""A small network from words to one vector: embeddings, two convolutions over neighbouring words, their mean."""

from torch import Tensor, nn

PADDING = 0  # the id of no word


class TextTower(nn.Module):
    """Word ids (B, L) -> (B, outputs). Neighbours are seen together, so "red floor" is not "red" and "floor".

    Padding takes no part: a sentence has the same vector whatever its neighbours' lengths.

    Args:
        words: size of the vocabulary; ids run from 1, 0 is padding.
        width: of embeddings and convolutions.
        outputs: length of the vector.
    """

    def __init__(self, words: int, width: int, outputs: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words + 1, width, padding_idx=PADDING)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1) for _ in range(2))
        self.out = nn.Linear(width, outputs)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, L) int64, at least one word in each sentence -> (B, outputs)."""
        mask = (ids != PADDING)[:, None].to(self.out.weight.dtype)  # (B, 1, L)
        h = self.embedding(ids).transpose(1, 2) * mask  # (B, W, L)
        for convolution in self.convolutions:
            h = h + nn.functional.silu(convolution(h)) * mask
        return self.out(h.sum(2) / mask.sum(2))

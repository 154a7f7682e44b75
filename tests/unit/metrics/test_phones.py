import pytest
import torch
import torch.nn.functional as F

from tts.data.phone_frames import IGNORED, PhoneBatch
from tts.metrics.phones import greedy_symbols, score_phones
from tts.speech.recognizer import Recognition
from tts.text.tokens import PAD, Tokens

TOKENS = Tokens([PAD, " ", "a", "m", "o"])


class Oracle(torch.nn.Module):
    """Says what it was told to, whatever it hears."""

    def __init__(self, frames, ctc):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.frames, self.ctc = frames, ctc

    def forward(self, mel, mask):
        logits, ctc_logits = (F.one_hot(torch.tensor(x), 5).float().transpose(1, 2) for x in (self.frames, self.ctc))
        return Recognition(logits, ctc_logits, mel[:, :1])


def test_the_best_path_drops_repeats_then_blanks():
    path = torch.tensor([0, 2, 2, 0, 2, 3, 3, 0, 0])
    assert greedy_symbols(F.one_hot(path, 5).T.float()) == [2, 2, 3]


def test_scores_of_two_utterances_worked_out_by_hand():
    batch = PhoneBatch(
        ids=["x", "y"],
        mel=torch.zeros(2, 80, 6),
        mel_lengths=torch.tensor([6, 4]),
        labels=torch.tensor([[1, 2, 2, 3, 3, 1], [4, IGNORED, 3, 3, IGNORED, IGNORED]]),
        phones=torch.tensor([[1, 2, 3, 1], [4, 3, 0, 0]]),
        phone_lengths=torch.tensor([4, 2]),
    )
    frames = [[1, 2, 2, 3, 2, 1], [4, 4, 4, 3, 2, 2]]  # 5 of 6 and 2 of 3 right; collapsed "a m a" and "o m"
    ctc = [[0, 2, 0, 0, 0, 0], [4, 0, 4, 3, 2, 2]]  # "a" (m left out) and "o o m" (one too many)
    scores = score_phones(Oracle(frames, ctc), TOKENS, [batch])
    assert (scores.frames, scores.phones) == (9, 4)
    assert scores.frame_accuracy == pytest.approx(7 / 9)
    assert scores.phone_error_rate == pytest.approx((1 + 1) / 4)
    assert scores.collapsed_error_rate == pytest.approx((1 + 0) / 4)


def test_without_a_sound_there_is_nothing_to_score():
    with pytest.raises(ValueError, match="no utterance has a sound"):
        score_phones(Oracle([], []), TOKENS, [])

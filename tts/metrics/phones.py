"""How well a phone recogniser hears: accuracy a frame, and errors a phone."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchaudio.functional import edit_distance

from tts.data.phone_frames import IGNORED, PhoneBatch
from tts.nets.blocks import lengths_to_mask
from tts.speech.align import PAUSES
from tts.speech.recognizer import PhoneRecognizer
from tts.text.tokens import PAD_ID, Tokens


@dataclass(frozen=True)
class PhoneScores:
    """Scores over a set of utterances."""

    frame_accuracy: float  # share of frames whose likeliest token is that of the alignment, pauses included
    phone_error_rate: float  # of the CTC head; errors / sounds of the references
    collapsed_error_rate: float  # of the frame head with equal neighbours made one, which splits and joins sounds
    frames: int
    phones: int  # sounds of the references


def greedy_symbols(logits: Tensor, blank: int = PAD_ID) -> list[int]:
    """The symbols of the best CTC path of logits (C, T): argmax a frame, equal neighbours made one, blanks taken out."""
    path = torch.unique_consecutive(logits.argmax(0))
    return [symbol for symbol in path.tolist() if symbol != blank]


@torch.inference_mode()
def score_phones(model: PhoneRecognizer, tokens: Tokens, batches: Iterable[PhoneBatch]) -> PhoneScores:
    """Score a recogniser, without dropout, against the alignment.

        phone error rate = Σ (substitutions + deletions + insertions) / Σ sounds of the references

    Sounds are all symbols but word boundaries and punctuation, which are taken out of both sides; stress counts.

    Raises:
        ValueError: if no utterance has a sound.
    """
    pauses = {i for i, symbol in enumerate(tokens.symbols) if symbol in PAUSES}
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    right = frames = phones = errors = collapsed = 0
    for batch in batches:
        mask = lengths_to_mask(batch.mel_lengths, batch.mel.shape[-1])
        found = model(batch.mel.to(device), mask.to(device))
        guess, known = found.logits.argmax(1).cpu(), batch.labels != IGNORED
        right += int(((guess == batch.labels) & known).sum())
        frames += int(known.sum())
        for i, length in enumerate(batch.mel_lengths.tolist()):
            truth = [p for p in batch.phones[i, : batch.phone_lengths[i]].tolist() if p not in pauses]
            phones += len(truth)
            heard = greedy_symbols(found.ctc_logits[i, :, :length])
            errors += edit_distance(truth, [p for p in heard if p not in pauses])
            heard = greedy_symbols(found.logits[i, :, :length])
            collapsed += edit_distance(truth, [p for p in heard if p not in pauses])
    model.train(was_training)
    if phones == 0 or frames == 0:
        raise ValueError("no utterance has a sound; there is nothing to score.")
    return PhoneScores(right / frames, errors / phones, collapsed / phones, frames, phones)

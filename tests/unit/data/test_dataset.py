import shutil

import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from tts.audio.pitch import denormalize_f0
from tts.data.batching import Draw, LengthBucketSampler
from tts.data.dataset import DURATIONS, UtteranceDataset, collate, read_durations
from tts.data.feature_file import features_path, read_features
from tts.data.manifest import MANIFEST, read_manifest, write_manifest
from tts.data.statistics import Statistics
from tts.errors import DataError, SpeakerError
from tts.text.tokens import Tokens


@pytest.fixture
def folder(dataset, tmp_path):
    """A copy of the features folder that a test may spoil."""
    return shutil.copytree(dataset.folder, tmp_path / "copy")


def reopen(dataset, folder):
    return UtteranceDataset(folder, dataset.tokens, dataset.statistics)


def test_an_item_holds_what_the_files_hold(dataset):
    item, row = dataset[4], dataset.rows[4]
    mel, f0 = read_features(dataset.folder, row.id)
    statistics = dataset.statistics
    torch.testing.assert_close(item.mel * statistics.mel_std + statistics.mel_mean, mel)
    assert item.tokens.tolist() == dataset.tokens.encode(row.phones)
    assert item.durations.shape == item.tokens.shape
    assert item.durations.sum() == mel.shape[1]
    assert torch.equal(item.f0, f0)
    back = denormalize_f0(item.pitch, item.f0 > 0, statistics.of_speaker(row.speaker))
    torch.testing.assert_close(back, f0, rtol=1e-4, atol=1e-3)
    assert (item.id, item.speaker) == (row.id, "bob")


def test_normalised_mels_have_mean_0_and_deviation_1_over_the_training_set(dataset):
    everything = torch.cat([dataset[i].mel for i in range(len(dataset))], dim=1)
    assert everything.mean().item() == pytest.approx(0, abs=1e-4)
    assert everything.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_the_reference_is_another_utterance_of_the_same_speaker_and_changes_with_the_epoch(dataset):
    mels = {row.id: dataset[i].mel for i, row in enumerate(dataset.rows)}

    def reference(row, epoch):
        item = dataset[Draw(row, epoch)]
        (found,) = (k for k, mel in mels.items() if mel.shape == item.reference.shape and torch.equal(mel, item.reference))
        return found

    drawn = {row: [reference(row, epoch) for epoch in range(20)] for row in (0, 2, 5)}
    assert drawn == {row: [reference(row, epoch) for epoch in range(20)] for row in (0, 2, 5)}
    assert set(drawn[0]) == {"ada-0002", "ada-0003"}
    assert set(drawn[2]) == {"ada-0001", "ada-0002"}
    assert set(drawn[5]) == {"bob-0001", "bob-0002"}


def test_the_only_utterance_of_a_speaker_is_its_own_reference(dataset, folder):
    write_manifest(folder / MANIFEST, read_manifest(folder)[:1])
    item = reopen(dataset, folder)[0]
    assert torch.equal(item.reference, item.mel)


def test_a_batch_is_its_items_padded_at_the_end(dataset):
    items = [dataset[i] for i in (5, 0, 3)]
    batch = collate(items)
    n, longest = len(items), max(item.mel.shape[1] for item in items)
    assert batch.mel.shape == (n, 80, longest)
    assert batch.pitch.shape == batch.f0.shape == (n, longest)
    assert batch.tokens.dtype == batch.durations.dtype == batch.mel_lengths.dtype == torch.int64
    for i, item in enumerate(items):
        frames, symbols, reference = batch.mel_lengths[i], batch.token_lengths[i], batch.reference_lengths[i]
        assert torch.equal(batch.mel[i, :, :frames], item.mel)
        assert torch.equal(batch.reference[i, :, :reference], item.reference)
        assert torch.equal(batch.tokens[i, :symbols], item.tokens)
        assert not batch.mel[i, :, frames:].any()
        assert not batch.f0[i, frames:].any()
        assert not batch.tokens[i, symbols:].any()
        assert batch.durations[i].sum() == frames
    assert batch.speakers == ["bob", "ada", "bob"]


def test_to_moves_the_tensors_and_keeps_the_names(dataset):
    batch = collate([dataset[0]])
    moved = batch.to("meta")
    assert moved.mel.device.type == moved.durations.device.type == "meta"
    assert (moved.ids, moved.speakers) == (batch.ids, batch.speakers)


def test_a_batch_of_one_utterance_and_a_corpus_of_one_work(dataset, folder):
    write_manifest(folder / MANIFEST, read_manifest(folder)[:1])
    single = reopen(dataset, folder)
    sampler = LengthBucketSampler(single.lengths, max_batch_size=8)
    (batch,) = DataLoader(single, batch_sampler=sampler, collate_fn=collate)
    assert batch.mel.shape == (1, 80, single.rows[0].frames)


def test_worker_processes_read_the_same_batches(dataset):
    def batches(workers):
        sampler = LengthBucketSampler(dataset.lengths, max_batch_size=2, seed=1)
        sampler.set_epoch(3)
        return list(DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=workers))

    for mine, theirs in zip(batches(0), batches(1), strict=True):
        assert mine.ids == theirs.ids
        assert torch.equal(mine.reference, theirs.reference)


def test_before_alignment_there_are_no_durations(dataset, folder):
    (folder / DURATIONS).unlink()
    assert collate([reopen(dataset, folder)[0]]).durations is None


def test_an_utterance_without_text_has_no_tokens(dataset, folder):
    (folder / DURATIONS).unlink()
    rows = [vars(row) | {"phones": (), "text": ""} for row in read_manifest(folder)]
    write_manifest(folder / MANIFEST, [type(dataset.rows[0])(**row) for row in rows])
    batch = collate([reopen(dataset, folder)[i] for i in (0, 1)])
    assert batch.tokens.shape == (2, 0)


@pytest.mark.parametrize("change", ["length", "sum", "missing", "truncated"])
def test_durations_that_do_not_fit_are_refused(dataset, folder, change):
    durations = read_durations(folder)
    if change == "length":
        durations["ada-0001"] = torch.cat([durations["ada-0001"], torch.zeros(1, dtype=torch.int32)])
    elif change == "sum":
        durations["ada-0001"][0] += 1
    elif change == "missing":
        del durations["ada-0001"]
    save_file(durations, folder / DURATIONS)
    if change == "truncated":
        (folder / DURATIONS).write_bytes((folder / DURATIONS).read_bytes()[:-4])
    with pytest.raises(DataError, match="Run the alignment stage again"):
        reopen(dataset, folder)[0]


def test_missing_features_unknown_speakers_and_an_empty_manifest_are_named(dataset, folder):
    features_path(folder, "ada-0001").unlink()
    with pytest.raises(DataError, match=r"ada-0001.safetensors: not a complete feature file"):
        reopen(dataset, folder)[0]
    statistics = Statistics(mel_mean=0.0, mel_std=1.0, f0=dataset.statistics.f0, speakers={})
    with pytest.raises(SpeakerError, match="'ada'"):
        UtteranceDataset(folder, dataset.tokens, statistics)
    write_manifest(folder / MANIFEST, [])
    with pytest.raises(DataError, match="lists no utterance"):
        reopen(dataset, folder)


def test_the_frames_of_a_phone_that_the_table_lacks_go_to_the_token_before_it(dataset):
    plain = dataset[0]
    phones = list(dataset.rows[0].phones)
    lacking = next(phone for phone in phones[2:] if phone.isalpha())
    table = Tokens([symbol for symbol in dataset.tokens.symbols if symbol != lacking])
    item = UtteranceDataset(dataset.folder, table, dataset.statistics)[0]
    expected, kept = [], 0
    for phone, frames in zip(phones, plain.durations.tolist(), strict=True):
        if phone == lacking:
            expected[-1] += frames
        else:
            expected.append(frames)
            kept += 1
    assert kept < len(phones)
    assert item.durations.tolist() == expected
    assert len(item.tokens) == kept
    assert item.durations.sum() == item.mel.shape[1]

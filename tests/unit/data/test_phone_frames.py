import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tts.data.batching import Draw
from tts.data.dataset import DURATIONS
from tts.data.manifest import MANIFEST
from tts.data.phone_frames import IGNORED, PhoneDataset, collate_phones
from tts.errors import DataError


@pytest.fixture
def folder(dataset, tmp_path):
    return shutil.copytree(dataset.folder, tmp_path / "features")


def phones(dataset, folder, **options):
    return PhoneDataset(folder, dataset.tokens, dataset.statistics, **options)


def set_durations(folder, utterance_id, durations):
    save_file(load_file(folder / DURATIONS) | {utterance_id: durations}, folder / DURATIONS)


def test_every_frame_has_the_phone_that_the_alignment_gives_it(dataset, folder):
    row = dataset.rows[0]
    durations = torch.zeros(len(row.phones), dtype=torch.int32)
    durations[1], durations[4] = 3, row.frames - 3
    set_durations(folder, row.id, durations)
    item = phones(dataset, folder)[0]
    first, second = dataset.tokens.encode([row.phones[1]]) + dataset.tokens.encode([row.phones[4]])
    assert item.labels.tolist() == [first] * 3 + [second] * (row.frames - 3)
    assert item.phones.tolist() == [first, second]
    torch.testing.assert_close(item.mel, dataset[0].mel)


def test_a_symbol_that_the_table_lacks_has_no_label(dataset, folder):
    rows = [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]
    rows[0]["phones"][1] = "ʘ"
    (folder / MANIFEST).write_text("".join(json.dumps(row) + "\n" for row in rows))
    durations = load_file(folder / DURATIONS)[rows[0]["id"]]
    item = phones(dataset, folder)[0]
    assert (item.labels == IGNORED).sum() == durations[1]
    assert len(item.phones) == len(durations) - 1
    assert IGNORED not in item.phones


def test_versions_are_drawn_alike_from_seed_epoch_and_row(dataset, folder):
    asked = []

    def perturbed(row, version):
        asked.append(version)
        return torch.zeros(80, row.frames)

    data = phones(dataset, folder, perturbed=perturbed, versions=3, seed=5)
    first = [data[Draw(0, epoch)].mel for epoch in range(60)]
    versions, clean = asked.copy(), 60 - len(asked)
    counts = [clean, versions.count(1), versions.count(2)]
    assert set(versions) == {1, 2}
    assert min(counts) >= 8  # a fair draw fails once in 10,000
    assert all(torch.equal(data[Draw(0, epoch)].mel, mel) for epoch, mel in enumerate(first))


def test_a_batch_is_padded_with_no_label_and_the_padding_token(dataset):
    data = phones(dataset, dataset.folder)
    items = sorted((data[i] for i in range(len(data))), key=lambda item: len(item.labels))[:: len(data) - 1]
    batch = collate_phones(items)
    for i, item in enumerate(items):
        n, k = len(item.labels), len(item.phones)
        assert (batch.mel_lengths[i], batch.phone_lengths[i]) == (n, k)
        assert torch.equal(batch.labels[i, :n], item.labels)
        assert (batch.labels[i, n:] == IGNORED).all()
        assert torch.equal(batch.phones[i, :k], item.phones)
        assert (batch.phones[i, k:] == 0).all()
        assert torch.equal(batch.mel[i, :, :n], item.mel)
        assert (batch.mel[i, :, n:] == 0).all()


def test_a_folder_that_was_not_aligned_or_does_not_fit_its_alignment_is_refused(dataset, folder):
    row = dataset.rows[0]
    set_durations(folder, row.id, torch.ones(len(row.phones), dtype=torch.int32))
    with pytest.raises(DataError, match=f"durations of {row.id} are missing or do not fit"):
        phones(dataset, folder)
    (folder / DURATIONS).unlink()
    with pytest.raises(DataError, match="Run `glottis align` first"):
        phones(dataset, folder)

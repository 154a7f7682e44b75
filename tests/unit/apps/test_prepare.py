import pytest

from tts.apps.cli import main
from tts.data.dataset import UtteranceDataset
from tts.data.manifest import read_manifest
from tts.data.statistics import Statistics
from tts.testing import make_corpus
from tts.text.tokens import Tokens


def glottis(*words):
    return main(["prepare", *map(str, words)])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("a corpus") / "-my voice é", 6, 0.9, ("ada", "bob"))


def test_a_corpus_becomes_batches_in_four_commands_that_can_all_be_repeated(corpus, tmp_path, capsys):
    data, dump = tmp_path / "data", tmp_path / "dump"
    for _ in range(2):
        assert (
            glottis("corpus", "--root", f"{corpus.parent}/{corpus.name}", "--holdout-every", 3, "--dev", 1, "--out", data) == 0
        )
        assert glottis("validate", "--data", data / "train") == 0
        assert glottis("features", "--data", data / "train", "--out", dump, "--frontend", "characters") == 0
        assert glottis("validate", "--features", dump) == 0
        assert glottis("statistics", "--features", dump) == 0
    assert sorted(p.name for p in data.iterdir()) == ["dev", "eval", "train"]
    out = capsys.readouterr().out
    assert f"{data / 'eval'}: 4 utterances, 2 speaker(s)" in out
    assert "kept 6 of 6 utterances" in out
    dataset = UtteranceDataset(dump, Tokens.load(dump / "tokens.txt"), Statistics.load(dump / "statistics.safetensors"))
    assert dataset[0].mel.shape[1] == dataset.lengths[0]


def test_shards_write_no_manifest_until_they_are_collected(corpus, tmp_path):
    glottis("corpus", "--root", corpus, "--out", tmp_path / "data")
    options = ["--data", tmp_path / "data/train", "--out", tmp_path / "dump", "--frontend", "characters"]
    for part in ("1/2", "2/2"):
        assert glottis("features", *options, "--shard", part) == 0
    assert not (tmp_path / "dump" / "manifest.jsonl").exists()
    assert glottis("features", *options) == 0
    assert len(read_manifest(tmp_path / "dump")) == 12


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "-1/2"])
def test_a_wrong_shard_is_a_usage_error(shard, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        glottis("features", "--data", tmp_path, "--out", tmp_path, f"--shard={shard}")
    assert caught.value.code == 2
    assert "expected I/N" in capsys.readouterr().err


def test_problems_are_printed_and_end_with_1_until_they_are_fixed(corpus, tmp_path, capsys):
    glottis("corpus", "--root", corpus, "--out", tmp_path)
    table = tmp_path / "train" / "text"
    table.write_text("".join(reversed(table.read_text().splitlines(keepends=True))))
    assert glottis("validate", "--data", tmp_path / "train") == 1
    captured = capsys.readouterr()
    assert "expected bytewise order" in captured.out
    assert "11 problem(s). Mend them by hand or with --fix." in captured.err
    assert glottis("validate", "--data", tmp_path / "train", "--fix") == 0
    assert "12 utterances kept, sorted." in capsys.readouterr().out
    assert glottis("validate", "--data", tmp_path / "train") == 0


def test_errors_of_data_are_one_line_with_exit_status_1(tmp_path, capsys):
    assert glottis("corpus", "--root", tmp_path, "--out", tmp_path / "data") == 1
    assert "no corpus layout known here" in capsys.readouterr().err
    assert glottis("download", "nothing", "--out", tmp_path) == 1
    assert "no archive 'nothing' is known" in capsys.readouterr().err

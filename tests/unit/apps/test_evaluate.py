import pytest

from tts.apps.cli import main
from tts.data.corpora import read_corpus
from tts.inference.decode import decode_set
from tts.inference.synthesizer import Synthesizer
from tts.testing import make_features, make_model_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A features folder of two sentences, and what a random model makes of them."""
    root = tmp_path_factory.mktemp("evaluate")
    make_features(root / "eval", 2, 0.3)
    model = make_model_folder(root / "model")
    utterances = read_corpus(root / "eval" / "corpus")
    decode_set(Synthesizer.from_pretrained(model, device="cpu"), utterances, root / "decode", sampler="prior")
    return root


def test_a_decoded_set_gets_a_table_a_block_and_a_page(folders, capsys):
    words = ["--decoded", folders / "decode", "--features", folders / "eval", "--out", folders / "out", "--no-asr"]
    assert main(["evaluate", *map(str, words)]) == 0
    printed = capsys.readouterr().out
    assert "| recordings through griffin_lim | – |" in printed
    assert "ASR: not measured: --no-asr was given." in printed
    assert sorted(p.name for p in (folders / "out").iterdir()) == ["RESULTS.md", "report.html", "results.json", "vocoded"]
    assert f"glottis evaluate --decoded {folders / 'decode'}" in (folders / "out" / "RESULTS.md").read_text()


def test_a_folder_that_is_no_decoded_set_is_one_line_and_status_1(folders, tmp_path, capsys):
    words = ["--decoded", tmp_path, "--features", folders / "eval", "--out", tmp_path / "out", "--no-asr"]
    assert main(["evaluate", *map(str, words)]) == 1
    assert "decode.json: no such file" in capsys.readouterr().err


def test_an_ear_and_no_ear_cannot_both_be_asked_for(tmp_path, capsys):
    words = ["--decoded", tmp_path, "--features", tmp_path, "--out", tmp_path, "--no-asr", "--asr", "base.en"]
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *map(str, words)])
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err

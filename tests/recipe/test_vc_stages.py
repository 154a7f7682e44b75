"""The stages of the recipes of voice conversion and their options; the interpreter is a stub (conftest.py)."""

import re
from pathlib import Path

import pytest

from tts.speech.config import PitchKind
from tts.training.presets import load_train_config

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
TWO_UNSEEN = '[ "$2" != corpus ] || { mkdir -p "${@: -1}/unseen"; printf "a 1\\nb 2\\n" >"${@: -1}/unseen/spk2utt"; }'
ONE_UNSEEN = TWO_UNSEEN.replace("\\nb 2", "")

DATA = ["prepare corpus", *["prepare features"] * 3, *["prepare validate"] * 3, "prepare statistics", "align"]
CONTENT = ["train-recognizer", *["prepare content"] * 3]
EVERY_STAGE = [
    *DATA,
    *CONTENT,
    "train",
    "average",
    "prepare pairs",
    *["convert-set"] * 3,
    "decode",
    "evaluate-conversion",
    "evaluate",
    "pack",
]


def verbs(calls):
    return [" ".join(w for w in call[:2] if not w.startswith("-")) for call in calls]


def value(call, option):
    return call[call.index(option) + 1]


def values(call, option):
    """The words after an option, up to the next."""
    rest = call[call.index(option) + 1 :]
    return rest[: next((i for i, word in enumerate(rest) if word.startswith("--")), len(rest))]


def only(calls, *verb):
    return [call for call in calls if tuple(call[: len(verb)]) == verb]


def test_the_default_is_mini_on_all_voices_of_the_embedded_corpus_and_a_second_run_does_nothing(vc_recipe):
    recipe = vc_recipe()
    done = recipe.run()
    calls = recipe.calls()
    assert done.returncode == 0, done.stderr
    assert verbs(calls) == EVERY_STAGE
    assert not {"--root", "--keep-speaker", "--unseen-speakers", "--untranscribed"} & set(calls[0])
    assert value(calls[1], "--audio") == "libri16k"
    exp, features = recipe.folder / "exp" / "arctic_mini", recipe.folder / "dump" / "vc_embedded_16000" / "features"
    learn, *content = calls[9:13]
    assert (value(learn, "--features"), value(learn, "--dev")) == (f"{features}/train", f"{features}/dev")
    assert value(learn, "--out") == f"{exp}/recognizer"
    assert [value(call, "--features") for call in content] == [f"{features}/{part}" for part in ("train", "dev", "eval")]
    assert {(value(call, "--recognizer"), value(call, "--versions")) for call in content} == {(f"{exp}/recognizer", "3")}
    assert value(calls[-2], "--command") == value(calls[-3], "--command")
    assert value(calls[13], "--config") == "mini_vc" and calls[13][-2:] == ["--ngpu", "0"] and "=" not in "".join(calls[13])
    again = recipe.run()
    assert recipe.calls() == [] and again.stdout.count("done before") == len(EVERY_STAGE)


def test_the_swap_matrix_takes_both_attributes_and_each_alone_from_the_target(vc_recipe):
    recipe = vc_recipe()
    recipe.run("--num_pairs", "7", "--inference_args", "--steps 4")
    calls = recipe.calls()
    pairs, *converted = [call for call in calls if call[0] == "convert-set" or call[1] == "pairs"]
    assert value(pairs, "--data").endswith("/data/eval") and value(pairs, "--n") == "7"
    assert {value(call, "--pairs") for call in converted} == {value(pairs, "--out")}
    styles = {
        Path(value(call, "--out")).name: (value(call, "--source-style"), value(call, "--filter-style")) for call in converted
    }
    assert styles == {"both": ("target", "target"), "source_only": ("target", "source"), "filter_only": ("source", "target")}
    assert [value(call, "--pitch") for call in converted if "--pitch" in call] == ["keep"]
    assert all(call[-2:] == ["--steps", "4"] for call in converted)
    judged = only(calls, "evaluate-conversion")[0]
    assert values(judged, "--decoded") == [value(call, "--out") for call in converted]
    assert value(judged, "--texts") == value(pairs, "--data") and value(judged, "--audio") == "libri16k"
    recipe.run("--num_pairs", "7", "--swap_matrix", "false", "--tag", "plain")
    assert [Path(value(call, "--out")).name for call in only(recipe.calls(), "convert-set")] == ["both"]


def test_speakers_kept_out_of_training_are_converted_and_judged_apart(vc_recipe):
    recipe = vc_recipe()
    recipe.run("--unseen_speakers", "ada bob", "--min_clips", "9", "--speakers", "ada bob eve", do=TWO_UNSEEN)
    calls = recipe.calls()
    assert values(calls[0], "--unseen-speakers") == ["ada", "bob"] and value(calls[0], "--min-clips") == "9"
    assert values(calls[0], "--keep-speaker") == ["ada", "bob", "eve"]
    new = [call for call in calls if any(word.endswith(("pairs/unseen.tsv", "data/unseen")) for word in call)]
    assert verbs(new) == ["prepare pairs", "convert-set", "evaluate-conversion"]
    assert value(new[0], "--data") == str(recipe.folder / "dump" / "vc_embedded_16000_ada+bob+eve" / "data" / "unseen")
    assert value(new[1], "--out") == value(new[2], "--decoded")


def test_one_speaker_kept_out_of_training_gives_no_pairs_and_that_is_said(vc_recipe):
    recipe = vc_recipe()
    done = recipe.run("--unseen_speakers", "1", do=ONE_UNSEEN)
    assert verbs(recipe.calls()) == EVERY_STAGE
    assert "unseen: one speaker alone gives no pair" in done.stdout


def test_several_folders_make_one_corpus_in_place(vc_recipe):
    recipe = vc_recipe()
    names = ["arctic", "my voices ü", "a, b"]
    for name in names:
        (recipe.folder / name).mkdir()
    done = recipe.run("--db_root", "arctic,my voices ü", "--stop_stage", "1", "--untranscribed", "true")
    assert done.returncode == 0, done.stderr
    call = recipe.calls()[0]
    assert values(call, "--root") == [str(recipe.folder / name) for name in names[:2]]
    assert value(call, "--out") == str(recipe.folder / "dump" / "vc_arctic+my voices ü_16000" / "data")
    assert "--untranscribed" in call
    recipe.run("--db_root", "a, b", "--stop_stage", "1")
    assert values(recipe.calls()[0], "--root") == [str(recipe.folder / "a, b")]


@pytest.mark.parametrize(
    ("words", "archives", "roots"),
    [
        (["arctic", "--profile", "base"], ["arctic_bdl", "arctic_slt", "arctic_clb", "arctic_rms"], None),
        (["arctic", "--corpus", "arctic", "--parts", "awb"], ["arctic_awb"], ["arctic_awb/cmu_us_awb_arctic"]),
        (["vctk"], ["vctk"], ["vctk"]),
        (["libritts"], ["libritts_train-clean-100"], ["libritts_train-clean-100/LibriTTS/train-clean-100"]),
    ],
)
def test_each_recipe_downloads_its_corpus(vc_recipe, words, archives, roots):
    name, *options = words
    recipe = vc_recipe(name)
    recipe.run(*options, "--stop_stage", "1")
    download, corpus = recipe.calls()
    assert download == ["prepare", "download", *archives, "--out", str(recipe.folder / "dump" / "downloads")]
    assert roots is None or values(corpus, "--root") == [f"{recipe.folder}/dump/downloads/{root}" for root in roots]
    assert ("--unseen-speakers" in corpus) == (name != "arctic")


def test_what_is_given_holds_against_the_recipes_own_default(vc_recipe):
    recipe = vc_recipe("vctk")
    done = recipe.run("--unseen_speakers", "p225", "--num_eval", "5", "--stop_stage", "1")
    assert done.returncode == 0, done.stderr
    corpus = recipe.calls()[1]
    assert values(corpus, "--unseen-speakers") == ["p225"] and value(corpus, "--eval") == "5"


def test_pitch_as_codes_trains_their_vqvae_before_the_model(vc_recipe):
    recipe = vc_recipe()
    pitched = ["--pitch", "vq", "--pitch_args", "--steps 9", "--tag", "it's +ü 1"]
    recipe.run(*pitched, "--stop_stage", "5", "--train_args", "seed=3")
    pitch, train = recipe.calls()[-2:]
    assert pitch[0] == "train-pitch" and pitch[-2:] == ["--steps", "9"]
    config = load_train_config("mini", [word for word in train if "=" in word])
    assert config.model.pitch is PitchKind.vq and config.seed == 3
    assert config.f0_vqvae == value(pitch, "--out") == str(recipe.folder / "exp" / "arctic_it's +ü 1" / "f0_vqvae")


def test_a_model_is_gone_on_with_on_the_content_it_knows(vc_recipe):
    recipe = vc_recipe()
    (recipe.folder / "old" / "recognizer").mkdir(parents=True)
    done = recipe.run("--init", "old", "--pitch", "vq", "--tag", "new", "--stop_stage", "5")
    assert done.returncode == 0, done.stderr
    calls = recipe.calls()
    assert verbs(calls) == [*DATA, *CONTENT[1:], "train"]
    assert {value(call, "--recognizer") for call in calls[-4:-1]} == {str(recipe.folder / "old" / "recognizer")}
    assert value(calls[-1], "--init") == str(recipe.folder / "old")
    assert (recipe.folder / "exp" / "arctic_new" / "recognizer").resolve() == recipe.folder / "old" / "recognizer"


def test_experiments_with_one_recogniser_share_its_content_and_another_one_needs_another_tag(vc_recipe):
    recipe = vc_recipe()
    learnt = '[ "$1" != train-recognizer ] || mkdir -p exp/arctic_a/recognizer'
    recipe.run("--tag", "a", "--stop_stage", "5", do=learnt)
    recipe.calls()
    recipe.run("--tag", "b", "--recognizer", "exp/arctic_a/recognizer", "--stop_stage", "5", "--train_args", "seed=1")
    assert verbs(recipe.calls()) == ["train"]
    done = recipe.run("--tag", "a", "--recognizer_args", "--steps 5", "--stop_stage", "5")
    assert done.returncode == 1 and "exp/arctic_a was trained on data that have been made anew since" in done.stderr
    recipe.run("--tag", "c", "--recognizer_args", "--steps 5", "--stop_stage", "5")
    calls = recipe.calls()
    assert verbs(calls) == [*CONTENT, "train"] and calls[0][-2:] == ["--steps", "5"]


def test_the_call_saved_in_the_experiment_is_the_users(vc_recipe):
    recipe = vc_recipe("vctk")
    recipe.run("--tag", "t", "--stop_stage", "5")
    saved = (recipe.folder / "exp" / "vctk_t" / "run.sh").read_text()
    assert "--unseen_speakers" not in saved and saved.rstrip().endswith("--tag t --stop_stage 5")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--corpus", "ljspeech"], "--corpus: found 'ljspeech', expected embedded, arctic, vctk or libritts"),
        (["--pitch", "f0"], "--pitch: found 'f0', expected continuous or vq"),
        (["--swap_matrix", "yes"], "--swap_matrix: found 'yes', expected true or false"),
        (["--num_pairs", "0"], "--num_pairs: expected 1 pair or more, found 0"),
        (["--db_root", "recipes,nowhere"], "--db_root: no folder 'nowhere'"),
        (["--init", "nowhere"], "--init: no model folder 'nowhere'"),
        (["--init", "recipes"], "/recipes' has no recognizer/, it was not trained for conversion"),
        (["--recognizer", "nowhere"], "--recognizer: no folder 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_installed(vc_recipe, words, message):
    done = vc_recipe().run(*words, cwd=RECIPES.parent)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize("name", ["arctic", "vctk", "libritts"])
def test_help_names_every_option(vc_recipe, name):
    shown = re.findall(r"^  --(\w+) ", vc_recipe(name).run("--help").stdout, flags=re.M)
    declared = re.findall(r"^([a-z][a-z0-9_]*)=.*# ", (RECIPES / "common" / "vc.sh").read_text(), flags=re.M)
    assert shown == declared
    common = re.findall(r"^([a-z][a-z0-9_]*)=.*# ", (RECIPES / "common" / "tts.sh").read_text(), flags=re.M)
    assert set(common) - set(shown) == {"speaker"}

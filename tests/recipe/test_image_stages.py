"""The order of the stages of the image recipes, what is shared and what is refused; the interpreter is a stub (conftest.py)."""

from pathlib import Path

import pytest

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture
def shapes(recipe):
    """The recipe of scenes, with an interpreter that only records."""
    recipe.script = RECIPES / "shapes" / "run.sh"
    speech = recipe.command
    recipe.command = lambda *words: [w for w in speech(*words) if w not in ("--dumpdir", str(recipe.folder / "dump"))]
    return recipe


def verbs(calls):
    return [call[1] for call in calls]


def value(call, option):
    return call[call.index(option) + 1]


def test_encdiff_is_trained_measured_drawn_and_packed(shapes):
    done = shapes.run()
    calls = shapes.calls()
    assert done.returncode == 0, done.stderr
    assert verbs(calls) == ["train", "train-prior", "evaluate", "draw", "pack"]
    exp = str(shapes.folder / "exp" / "shapes_encdiff_mini")
    assert (value(calls[0], "--config"), value(calls[0], "--exp")) == ("encdiff_mini", exp)
    assert {"size=32", "seed=0"} <= set(calls[0]) and value(calls[0], "--data") == "shapes"
    assert all(value(call, "--model") == f"{exp}/model" for call in calls[1:])
    assert shapes.run().returncode == 0
    assert shapes.calls() == []


def test_guided_methods_share_their_base_and_clip_guided_has_an_encoder(shapes):
    assert shapes.run("--method", "pdae", "--stop_stage", "2").returncode == 0
    base, train = shapes.calls()
    assert value(base, "--config") == "ddpm_mini"
    assert value(train, "--base") == value(base, "--exp") + "/model"
    assert shapes.run("--method", "clip_guided", "--stop_stage", "2").returncode == 0
    encoder, train = shapes.calls()
    assert value(encoder, "--config") == "contrastive_mini" and "flips=true" not in encoder
    assert value(train, "--encoder") == value(encoder, "--exp") + "/model"
    assert value(train, "--base") == value(base, "--exp") + "/model"


def test_an_encoder_that_needs_labels_comes_before_the_base_and_all_are_done_once(shapes):
    words = ["--method", "clip_guided", "--latent", "vq", "--stop_stage", "2"]
    assert shapes.run(*words).returncode == 0
    assert [value(call, "--config") for call in shapes.calls()] == [
        f"{name}_mini" for name in ("contrastive", "first_stage_vq", "ddpm", "clip_guided")
    ]
    assert shapes.run(*words).returncode == 0
    assert shapes.calls() == []
    assert shapes.run("--method", "pdae", "--latent", "vq", "--stop_stage", "2").returncode == 0
    assert [value(call, "--config") for call in shapes.calls()] == ["pdae_mini"]


def test_words_of_the_user_come_last_for_every_training(shapes):
    words = ["--method", "pdae", "--fast", "true", "--latent", "vq", "--stop_stage", "2"]
    done = shapes.run(*words, "--stage_args", "steps=7", "--base_args", "steps=8", "--train_args", "steps=9")
    assert done.returncode == 0, done.stderr
    assert [[word for word in call if word.startswith("steps=")][-1] for call in shapes.calls()] == [
        "steps=7",
        "steps=8",
        "steps=9",
    ]


def test_the_gap_of_the_base_is_measured_of_guided_methods(shapes):
    assert shapes.run("--method", "pdae", "--fast", "true").returncode == 0
    calls = shapes.calls()
    assert verbs(calls) == ["train", "train", "train-prior", "evaluate", "draw", "gap", "pack"]
    gap = calls[5]
    assert value(gap, "--model") == value(calls[1], "--exp") + "/model"
    assert value(gap, "--times") == "10" and "--steps" not in gap


@pytest.mark.parametrize("kind", ["vq", "kl"])
def test_latents_come_from_a_first_stage_on_which_a_base_of_its_own_stands(shapes, kind):
    weight = f"model.{kind}.perceptual=1"
    assert shapes.run("--method", "disdiff", "--latent", kind, "--stage_args", weight, "--stop_stage", "2").returncode == 0
    stage, base, train = shapes.calls()
    assert value(stage, "--config") == f"first_stage_{kind}_mini" and weight in stage and weight not in base + train
    assert value(base, "--first-stage") == value(stage, "--exp") + "/model"
    assert value(train, "--base").endswith(f"/shapes_ddpm_{kind}_mini_32/model")
    assert "--first-stage" not in train


def test_a_vae_has_no_sampling_options(shapes):
    assert shapes.run("--method", "factorvae").returncode == 0
    calls = shapes.calls()
    assert verbs(calls) == ["train", "train-prior", "evaluate", "draw", "pack"]
    assert not any("--steps" in call for call in calls[2:])


def test_models_without_codes_have_no_prior_and_the_isometric_one_goes_on_from_a_ddpm(shapes):
    assert shapes.run("--method", "isometric").returncode == 0
    calls = shapes.calls()
    assert verbs(calls) == ["train", "train", "evaluate", "draw", "pack"]
    assert value(calls[1], "--config") == "isometric_mini"
    assert value(calls[1], "--init") == value(calls[0], "--exp") + "/model"
    for method in ("ddpm", "labelled"):
        assert shapes.run("--method", method).returncode == 0
        assert verbs(shapes.calls()) == ["train", "evaluate", "draw", "pack"]


def test_what_is_held_out_is_kept_from_every_training_and_measured(shapes):
    assert shapes.run("--method", "pdae", "--split", "held_out").returncode == 0
    base, train, _, evaluate = shapes.calls()[:4]
    assert "held_out=0.2" in base and "held_out=0.2" in train
    assert value(base, "--exp").endswith("/shapes_ddpm_mini_held_out_32")
    assert (value(evaluate, "--split"), value(evaluate, "--trees")) == ("held_out", "histogram")


def test_fast_makes_everything_small(shapes):
    assert shapes.run("--fast", "true").returncode == 0
    calls = shapes.calls()
    assert "steps=300" in calls[0] and "--fast" in calls[2]
    assert {value(call, "--steps") for call in calls[2:-1]} == {"10"}
    assert value(calls[0], "--exp").endswith("/shapes_encdiff_mini_fast")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "magic"], "there is no conf/image/magic_mini.yaml"),
        (["--profile", "huge"], "expected mini or paper"),
        (["--fast", "yes"], "expected true or false"),
        (["--method", "contrastive"], "give clip_guided"),
        (["--method", "first_stage_vq"], "part of another method"),
        (["--method", "betavae", "--latent", "vq"], "a VAE diffuses nothing"),
        (["--latent", "true"], "found 'true', expected none, vq or kl"),
        (["--stage_args", "steps=9"], "no first stage without --latent"),
        (["--db_root", "nowhere"], "no file or folder"),
        (["--ngpu", "2"], "expected 0 or 1"),
        (["--size", "48"], "expected a power of two from 8 to 256"),
        (["--split", "none"], "expected iid, compositional or held_out"),
        (["--trees", "oak"], "expected exact or histogram"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(shapes, words, said):
    done = shapes.run(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert shapes.calls() == []


def test_celeba_needs_a_folder(shapes):
    shapes.script = RECIPES / "celeba" / "run.sh"
    done = shapes.run()
    assert done.returncode == 2
    assert "give the folder of the images" in done.stderr
    (shapes.folder / "faces").mkdir()
    assert shapes.run("--db_root", str(shapes.folder / "faces"), "--stop_stage", "2").returncode == 0
    (train,) = shapes.calls()
    assert value(train, "--data") == str(shapes.folder / "faces") and "flips=true" in train


@pytest.mark.parametrize("name", ["my photos (1), é", "Ωμέγα 声", "-leading", "q'uo\"te $HOME * a=b#c [d]"])
def test_a_folder_of_images_of_any_name_is_used_in_place(shapes, name):
    (shapes.folder / name).mkdir()
    assert shapes.run("--method", "pdae", "--db_root", name, "--stop_stage", "2").returncode == 0
    assert [value(call, "--data") for call in shapes.calls()] == [str(shapes.folder / name)] * 2


def test_the_card_says_nothing_of_the_licence_of_your_own_images(shapes):
    assert shapes.run("--method", "ddpm").returncode == 0
    assert value(shapes.calls()[-1], "--data").startswith("Generated scenes")
    (shapes.folder / "photos").mkdir()
    own = ["--method", "ddpm", "--db_root", str(shapes.folder / "photos"), "--tag", "photos"]
    assert shapes.run(*own).returncode == 0
    assert value(shapes.calls()[-1], "--data") == "Not stated."
    assert shapes.run(*own, "--licence", "Mine.").returncode == 0
    (pack,) = shapes.calls()
    assert value(pack, "--data") == "Mine."

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tts

MODULES = sorted(module.name for module in pkgutil.walk_packages(tts.__path__, "tts.") if not module.name.endswith("__main__"))
TRAINING_ONLY = ("lightning", "pytorch_lightning", "tensorboard", "hydra")


def loaded_after(code):
    """The top-level modules that a fresh interpreter has after running `code`."""
    code += "\nimport sys; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports(name):
    assert importlib.import_module(name).__doc__ or name.count(".") == 1 or _is_empty(name)


def _is_empty(name):
    return Path(importlib.import_module(name).__file__).stat().st_size == 0


def test_import_tts_is_light():
    heavy = {"torch", "numpy", "librosa", "lightning", "hydra", "soundfile", "matplotlib", "speechbrain", "transformers"}
    assert not loaded_after("import tts") & heavy


def test_inference_imports_nothing_of_training():
    modules = [name for name in MODULES if name.startswith(("tts.inference", "tts.speech", "tts.diffusion"))]
    assert not loaded_after("\n".join(f"import {name}" for name in modules)) & set(TRAINING_ONLY)


def test_public_names_are_listed_and_found():
    assert set(tts.__all__) <= set(dir(tts))
    for name in tts.__all__:
        assert getattr(tts, name) is not None


def test_an_unknown_public_name_is_an_attribute_error_that_lists_the_names():
    with pytest.raises(AttributeError, match="no attribute 'Synthesiser'; it has Audio, Synthesizer"):
        tts.Synthesiser  # noqa: B018


def test_no_module_sets_the_global_seed_or_thread_count_when_imported():
    for path in Path(tts.__path__[0]).rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                called = ast.unparse(node.value.func)
                assert not called.endswith(("manual_seed", "set_num_threads", "random.seed", "filterwarnings")), (
                    f"{path}: {called}"
                )

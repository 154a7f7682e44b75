"""Show versions, devices and caches, with a fix for what fails; --model: what a model folder holds."""

import argparse
import importlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tts import __version__

_REINSTALL = "bash tools/install.sh"


@dataclass(frozen=True)
class Check:
    """One package that must import, and what mends it when it does not."""

    module: str
    distribution: str
    fix: str = _REINSTALL
    extra: str = ""  # "" = needed by everything


CHECKS = (
    Check("torch", "torch"),
    Check("torchaudio", "torchaudio", "it needs the torch of its own registry: remove the environment, bash tools/install.sh"),
    Check("numpy", "numpy"),
    Check("librosa", "librosa"),
    Check("soundfile", "soundfile", "pip install --force-reinstall soundfile (its wheel holds libsndfile)"),
    Check("pyworld", "pyworld", "pip install 'setuptools<82' for pkg_resources; no compiler: pip install pyworld-prebuilt"),
    Check("speechbrain", "speechbrain"),
    Check("hydra", "hydra-core"),
    Check("safetensors", "safetensors"),
    Check("lightning", "lightning", extra="train"),
    Check("tensorboard", "tensorboard", extra="train"),
    Check("phonemizer", "phonemizer", extra="phonemes"),
    Check("espeakng_loader", "espeakng-loader", extra="phonemes"),
    Check("jiwer", "jiwer", extra="eval"),
    Check("faster_whisper", "faster-whisper", extra="eval"),
    Check("sklearn", "scikit-learn", extra="eval"),
    Check("transformers", "transformers", extra="content"),
    Check("resemblyzer", "Resemblyzer", extra="similarity"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `glottis doctor`."""
    parser.add_argument("--model", type=Path, metavar="DIR", help="also describe this model folder")


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 if something that everything needs does not work."""
    print(f"glottis {__version__}, Python {platform.python_version()}, {platform.platform()}")
    broken = False
    for check in CHECKS:
        found, works = _import(check)
        broken |= not works and not check.extra
        group = f" [{check.extra}]" if check.extra else ""
        print(f"  {'ok  ' if works else 'FAIL' if not check.extra else '-   '} {check.distribution + group:<28}{found}")
        if not works:
            fix = f"{_REINSTALL} --extras {check.extra}" if check.extra else check.fix
            print(f"       fix: {fix}")
    for report in (_devices, _front_ends, _caches):
        print("\n".join(f"  {line}" for line in report()))
    if args.model:
        print("\n".join(_describe(args.model)))
    return int(broken)


def _import(check: Check) -> tuple[str, bool]:
    try:
        importlib.import_module(check.module)
    except (ImportError, OSError, RuntimeError, AttributeError) as err:
        return f"{type(err).__name__}: {str(err).splitlines()[0] if str(err) else ''}", False
    return importlib.metadata.version(check.distribution), True


def _devices() -> Iterator[str]:
    try:
        import torch

        from tts.device import has_fast_bf16
    except (ImportError, OSError):
        return
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    bf16 = _yes(has_fast_bf16(torch.device("cpu")))
    yield f"CPU          {os.cpu_count()} cores, {torch.get_num_threads()} threads, fast bf16: {bf16}"
    yield f"CUDA         {', '.join(names) or 'no device'} (torch was built for CUDA {torch.version.cuda or '-'})"
    yield f"MPS          {_yes(torch.backends.mps.is_available())}"


def _front_ends() -> Iterator[str]:
    try:
        from tts.errors import GlottisError
        from tts.text.frontends import FRONTENDS, get_frontend
    except (ImportError, OSError) as err:
        yield f"front ends   {err}"
        return
    for name in FRONTENDS:
        try:
            symbols = "".join(get_frontend(name).phonemize(["Hello there."])[0])
        except GlottisError as err:
            symbols = str(err)
        yield f"front end    {name}: {symbols}"


def _caches() -> Iterator[str]:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for name, folder in (("cache", home / "glottis"), ("model hub", Path(os.environ.get("HF_HOME") or home / "huggingface"))):
        existing = next(p for p in (folder, *folder.parents) if p.exists())
        note = "" if os.access(existing, os.W_OK) else "  NOT WRITABLE; fix: export XDG_CACHE_HOME=/a/folder/you/own"
        yield f"{name:<12} {folder}{note}"


def _describe(folder: Path) -> Iterator[str]:
    from tts.config import AUDIO_CONFIGS, to_dict
    from tts.inference.model_folder import KIND, VERSION, load_model_folder
    from tts.speech.model import parameter_counts

    loaded = load_model_folder(folder)
    model, audio = loaded.model, loaded.model.config.audio
    contract = next((name for name, known in AUDIO_CONFIGS.items() if known == audio), "of its own")
    speakers = sorted(loaded.speakers)
    yield f"{folder}: {KIND} {VERSION}, front end {model.config.frontend}, {len(loaded.tokens)} tokens"
    yield f"  speakers     {len(speakers)}: {', '.join(speakers[:5])}{' …' if len(speakers) > 5 else ''}"
    yield f"  sampling     {', '.join(f'{key} {value}' for key, value in to_dict(loaded.sampling).items())}"
    yield f"  audio        {contract}, fingerprint {audio.fingerprint()}"
    yield f"               {', '.join(f'{key} {value}' for key, value in to_dict(audio).items())}"
    yield "  parameters"
    for name, count in parameter_counts(model).items():
        yield f"    {name:<20}{count:>13,}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"

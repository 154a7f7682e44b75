"""Reading and writing waveforms; every check of a file or an array happens at this door."""

import logging
import math
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile
import torch
import torchaudio
from numpy.typing import NDArray

from tts.errors import AudioError

logger = logging.getLogger(__name__)

Wav = NDArray[np.float32]

WRITABLE_FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3"}
NARROWBAND_RATE = 8000  # Hz
NORMALIZED_PEAK = 0.95
_INT_ZERO_AND_SCALE = {"uint8": (128.0, 128.0), "int16": (0.0, 2.0**15), "int32": (0.0, 2.0**31)}
_MAX_FILTER_PHASES = 2000  # torchaudio's kernel grows with the square of the reduced rates: 3 GB for 7919 -> 16000 Hz
_BLOCK_FRAMES = 4096  # a damaged block is lost whole
_DECLARED_SIZE = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_UNKNOWN_SIZE = 0x7FFFF000  # a size from here on is how programs that stream a WAV say "not known"


def require_finite(wav: NDArray[Any], what: str) -> None:
    """Raises AudioError naming the first NaN or infinite sample of `wav`."""
    bad = np.flatnonzero(~np.isfinite(wav))
    if len(bad):
        first = int(bad[0])
        raise AudioError(
            f"{what}: sample {first} is {wav.flat[first]} ({len(bad)} of {wav.size} samples are not finite); "
            "expected finite values in [-1, 1]. Repair or remove it."
        )


def require_rate(rate: float) -> None:
    """Raises ValueError unless `rate` is a positive number of Hz."""
    if not (rate > 0 and math.isfinite(rate)):
        raise ValueError(f"sample rate must be positive, found {rate} Hz.")


def to_wav(array: Any) -> Wav:
    """The waveform in an array: (N,) float32, contiguous, channels averaged.

    Takes lists, arrays and tensors. Floats are kept as they are, int16 and int32 are divided by their full scale, uint8
    is centred first. Of two axes the one of length 1 or 2 holds the channels.

    Raises:
        TypeError: for booleans, complex numbers, text and integers without an audio scale (int64).
        AudioError: for no samples, more than two axes, two axes both longer than 2, NaN or infinite samples.
    """
    values = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
    if values.dtype.name in _INT_ZERO_AND_SCALE:
        zero, scale = _INT_ZERO_AND_SCALE[values.dtype.name]
        values = (values.astype(np.float64) - zero) / scale
    elif values.dtype.kind != "f":
        raise TypeError(f"a waveform has floats, int16, int32 or uint8 samples, found {values.dtype}. Convert it first.")
    if values.size == 0:
        raise AudioError(f"the waveform has no samples (shape {values.shape}); at least 1 is needed.")
    if values.ndim == 2 and min(values.shape) <= 2:
        with np.errstate(invalid="ignore"):
            values = values.mean(axis=int(np.argmin(values.shape)), dtype=np.float64)
    if values.ndim != 1:
        raise AudioError(f"the waveform's shape {values.shape} is ambiguous; expected (N,), (channels, N) or (N, channels).")
    require_finite(values, "waveform")
    return np.ascontiguousarray(values, dtype=np.float32)


def resample(wav: Wav, rate: int, sample_rate: int) -> Wav:
    """`wav` (N,) taken from `rate` to `sample_rate` Hz: max(1, round(N sample_rate / rate)) samples, band-limited.

    Raises:
        ValueError: if a rate is not positive.
    """
    require_rate(rate)
    require_rate(sample_rate)
    if rate == sample_rate:
        return wav
    common = math.gcd(rate, sample_rate)
    up, down = sample_rate // common, rate // common
    if max(up, down) <= _MAX_FILTER_PHASES:
        out = torchaudio.functional.resample(torch.from_numpy(wav), rate, sample_rate).numpy()
    else:
        out = scipy.signal.resample_poly(wav, up, down)
    return np.ascontiguousarray(out[: max(1, round(len(wav) * sample_rate / rate))], dtype=np.float32)


def read_audio(
    path: str | Path, sample_rate: int | None = None, strict: bool = False, *, max_seconds: float | None = None
) -> tuple[Wav, int]:
    """The waveform of a file and its rate in Hz; channels are averaged.

    A file cut short is read as far as it goes, with a warning. Levels are never changed.

    Args:
        path: any format libsndfile reads (wav, flac, ogg, mp3, aiff, ...).
        sample_rate: rate to resample to, in Hz; by default the file's own.
        strict: whether a file cut short is an error.
        max_seconds: nothing after this is read; by default the whole file is.

    Returns:
        wav (N,) float32, N >= 1, and the rate of `wav`.

    Raises:
        AudioError: naming the file if it is missing, not audio, empty, not finite, or (with `strict`) cut short.
        ValueError: if `sample_rate` or `max_seconds` is not positive.
    """
    if sample_rate is not None:
        require_rate(sample_rate)
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds must be positive, found {max_seconds}.")
    samples, rate, declared = _read_samples(Path(path), math.inf if max_seconds is None else max_seconds)
    if not len(samples):
        raise AudioError(f"{path} has no samples (header only or damaged). Remove or replace it.")
    if len(samples) < declared:
        message = f"{path} is cut short: its header promises {declared} samples, {len(samples)} could be read."
        if strict:
            raise AudioError(f"{message} Replace it.")
        logger.warning("%s", message)
    wav = mix_down(samples)
    require_finite(wav, str(path))
    if sample_rate is None or sample_rate == rate:
        return wav, rate
    warn_if_narrowband(path, rate, sample_rate)
    return resample(wav, rate, sample_rate), sample_rate


def warn_if_narrowband(path: str | Path, rate: int, sample_rate: int) -> None:
    """Warn of a file at `rate` Hz that cannot fill the band of `sample_rate` Hz."""
    if rate <= NARROWBAND_RATE < sample_rate:
        logger.warning("%s is narrowband (%d Hz): nothing above %d Hz can be restored.", path, rate, rate // 2)


def _read_samples(path: Path, max_seconds: float) -> tuple[Wav, int, float]:
    """Samples (N, channels) up to `max_seconds`, rate in Hz, and how many of these samples the header promises."""
    with open_audio(path) as file:
        rate = file.samplerate
        most = math.inf if math.isinf(max_seconds) else math.ceil(max_seconds * rate)
        blocks = list(raw_blocks(file, most))
        samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), dtype=np.float32)
        return samples, rate, min(promised_samples(file, len(samples)), most)


def open_audio(path: Path) -> soundfile.SoundFile:
    """The audio file at `path`, open for reading.

    Raises:
        AudioError: naming the file if it is missing or not audio.
    """
    try:
        path.open("rb").close()  # libsndfile says "System error." for whatever goes wrong here
    except FileNotFoundError as err:
        raise AudioError(f"no such file: {path}") from err
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else err
        raise AudioError(f"{path} is not audio libsndfile can read ({reason}); expected an audio file.") from err
    try:
        return soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError) as err:  # TypeError: a headerless .raw
        raise AudioError(
            f"{path} is not audio libsndfile can read ({err}); supported: wav, flac, ogg, mp3, aiff, au, w64, caf."
        ) from err


def raw_blocks(file: soundfile.SoundFile, most: float = math.inf) -> Iterator[Wav]:
    """The next samples of an open file, (at most 4096, channels) a block, until `most` of them, the end or damage."""
    left = most
    try:
        while len(block := file.read(int(min(_BLOCK_FRAMES, left)), dtype="float32", always_2d=True)):
            yield block
            left -= len(block)
    except soundfile.LibsndfileError as err:
        logger.debug("%s: %s", file.name, err)  # a damaged end: `promised_samples` tells how much is missing


def promised_samples(file: soundfile.SoundFile, found: int) -> int:
    """How many samples the header of a file promises, when `found` could be read."""
    declared = file.frames
    for promised, there in _DECLARED_SIZE.findall(file.extra_info):
        if int(there) and int(promised) < _UNKNOWN_SIZE:
            declared = max(declared, found * int(promised) // int(there))
    return declared


def mix_down(samples: Wav) -> Wav:
    """The mean (N,) of the channels of (N, channels) samples."""
    with np.errstate(invalid="ignore"):  # infinities of opposite sign in two channels
        return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float64), dtype=np.float32)


def write_audio(path: str | Path, wav: Any, rate: int, *, normalize: bool = False, overwrite: bool = True) -> None:
    """Writes a waveform, 16-bit for wav and flac; the file appears whole or not at all.

    Samples beyond [-1, 1] are clipped with one warning, unless `normalize` scales the peak to 0.95 (silence stays).

    Args:
        path: ends in .wav, .flac, .ogg or .mp3; its folder exists.
        wav: whatever `to_wav` takes.
        rate: Hz.
        normalize: whether to scale the peak.
        overwrite: whether a file at `path` may be replaced.

    Raises:
        AudioError: for samples that are not finite, another extension, a missing folder, or a file that is already there.
        ValueError: if `rate` is not positive.
    """
    path, samples = Path(path), to_wav(wav)
    require_rate(rate)
    format_name = WRITABLE_FORMATS.get(path.suffix.lower())
    if format_name is None:
        raise AudioError(f"{path}: cannot write {path.suffix or 'a file without extension'}. Use {' '.join(WRITABLE_FORMATS)}.")
    if not path.parent.is_dir():
        raise AudioError(f"{path}: the folder {path.parent} does not exist. Create it first.")
    if path.exists() and not overwrite:
        raise AudioError(f"{path} exists already. Choose another name or allow overwriting.")
    peak = float(np.abs(samples).max())
    if normalize and peak > 0:
        samples = samples * np.float32(NORMALIZED_PEAK / peak)
    elif peak > 1:
        n_clipped = int((np.abs(samples) > 1).sum())
        logger.warning("%s: %d of %d samples beyond [-1, 1] were clipped (peak %.3g).", path, n_clipped, len(samples), peak)
        samples = samples.clip(-1, 1)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        soundfile.write(part, samples, rate, format=format_name)
        part.replace(path)
    except soundfile.LibsndfileError as err:
        raise AudioError(f"{path} could not be written ({err}). Check the rate ({rate} Hz) and the disk.") from err
    finally:
        part.unlink(missing_ok=True)

"""The model card of a trained vocoder."""

from tts.data.manifest import ManifestRow
from tts.speech.hifigan import VocoderConfig


def vocoder_card(config: VocoderConfig, step: int, rows: list[ManifestRow]) -> str:
    """Markdown that says what the vocoder is, which mel it takes and what it was trained on."""
    audio = config.audio
    compression = f"ln(x + {audio.log_offset:g})" if audio.log_offset else f"ln(max(x, {audio.log_floor:g}))"
    norm = "unit-area" if audio.slaney_norm else "unit-peak"
    minutes = sum(row.seconds for row in rows) / 60
    return f"""# Vocoder

HiFi-GAN generator: {config.initial_channels} channels, upsampling {" × ".join(map(str, config.upsample_factors))}.

| the mel it takes | |
|---|---|
| sample rate | {audio.sample_rate} Hz |
| FFT, window, hop | {audio.n_fft}, {audio.win_length}, {audio.hop_length} samples |
| bands | {audio.n_mels}, {audio.f_min:g} to {audio.f_max:g} Hz, {audio.mel_scale.value} scale, {norm} filters |
| value | {compression} of magnitudes to the power {audio.power:g} |
| fingerprint | {audio.fingerprint()} |

Trained for {step} steps on {len(rows)} recordings, {minutes:.1f} minutes, {len({row.speaker for row in rows})} speaker(s).
It speaks best what resembles them. Its licence is yours to state: that of the recordings bears on it.

```python
from tts.speech.vocoder import load_vocoder

vocoder = load_vocoder("this/folder", audio)
```
"""

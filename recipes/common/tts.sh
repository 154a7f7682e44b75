#!/usr/bin/env bash
# Text to speech, from a corpus to a packed model. A recipe sources this with its options, and its name in `recipe`.
#
# A stage is one call of `glottis` (or a few of one kind). Where it ends well it leaves a marker with its command, and is
# skipped from then on, until that command, or the output of an earlier stage, has changed. A stage that was killed runs
# again and goes on where it was.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=recipes/common/log.sh
. "$root/recipes/common/log.sh"
# shellcheck source=recipes/common/parse_options.sh
. "$root/recipes/common/parse_options.sh"
# shellcheck source=recipes/common/stage.sh
. "$root/recipes/common/stage.sh"
# shellcheck source=recipes/common/speech.sh
. "$root/recipes/common/speech.sh"

# Options
stage=0                      # first stage to run
stop_stage=9                 # last stage to run
profile=mini                 # size of the model: mini, small or base
corpus=                      # embedded, asterisk or ljspeech (default embedded for mini, ljspeech for small and base)
db_root=                     # folder in LJSpeech layout, used where it lies instead of --corpus
speaker=                     # the voice to learn (default the one with most clips)
fs=                          # sample rate, 16000 or 22050 Hz (default 16000 for mini, 22050 for small and base)
frontend=espeak              # espeak (phones) or characters
f0min=65                     # lowest F0 in Hz
f0max=500                    # highest F0 in Hz
min_wav_duration=0.1         # shorter clips are dropped, in seconds
max_wav_duration=20          # longer clips are dropped, in seconds
num_dev=10                   # sentences for development
num_eval=20                  # sentences for evaluation, spread over the corpus and never trained on
holdout_every=0              # every Nth sentence is for evaluation, in place of num_eval; 0 is none
ngpu=0                       # GPUs to train on; 0 is the CPU
nj=2                         # processes that extract features
dumpdir=                     # folder of downloads and data (default dump/ beside recipes/)
expdir=                      # folder of experiments (default exp/ beside recipes/)
train_config=                # preset in conf/ (default the profile's)
train_args=                  # overrides of the preset, such as "steps=100 optimizer.lr=5e-4"
vocoder=griffin_lim          # griffin_lim, a HiFi-GAN (folder or public name), or train: a HiFi-GAN on these recordings
vocoder_args=                # options of glottis train-vocoder, such as "--preset v1 --steps 400000"
inference_args=              # options of glottis decode, such as "--steps 8 --temperature 0.8"
asr=                         # recogniser that counts wrong words, or none (default the installed Whisper)
tag=                         # last part of the experiment's name (default profile and corpus)
# End of options
parse_options "${BASH_SOURCE[0]}" "$@"

one_of profile "$profile" mini small base
default_corpus=ljspeech default_fs=22050
[ "$profile" != mini ] || default_corpus=embedded default_fs=16000
fs=${fs:-$default_fs}
check_speech_options
one_of corpus "${corpus:=$default_corpus}" embedded asterisk ljspeech
source=$corpus
if [ -n "$db_root" ]; then
  [ -d "$db_root" ] || die 2 "--db_root: no folder '$db_root'"
  db_root=$(CDPATH='' cd -- "$db_root" && pwd)
  source=$(basename -- "$db_root")
fi
if [ -z "$tag" ]; then
  tag=$profile
  [ "$source" = "$default_corpus" ] || tag+=_$source
fi
dumpdir=$(absolute "${dumpdir:-$root/dump}")
dump=$dumpdir/${source}_${fs}${speaker:+_$speaker}
exp=$(absolute "${expdir:-$root/exp}")/${recipe:-tts}_$tag
read -r -a train_words <<<"$train_args"
read -r -a vocoder_words <<<"$vocoder_args"
read -r -a inference_words <<<"$inference_args"

set_up_speech

# Stage 0: the corpus. The embedded one is part of the package, and a folder of the user's is used where it lies.
corpus_root=()
origin="the embedded corpus of Glottis: synthetic speech of Kokoro-82M (Apache-2.0)"
if [ -n "$db_root" ]; then
  origin="$source, whose licence its owner gives"
  corpus_root=(--root "$db_root")
elif [ "$corpus" = ljspeech ]; then
  run_stage 0 download "$dump" prepare download ljspeech --out "$dumpdir/downloads"
  origin="LJSpeech 1.1 (public domain)"
  corpus_root=(--root "$dumpdir/downloads/ljspeech/LJSpeech-1.1")
elif [ "$corpus" = asterisk ]; then
  run_stage 0 download "$dump" "$root/tools/make_asterisk.py" --out "$dumpdir/downloads/asterisk"
  origin="Asterisk core sounds, spoken by Allison Smith (CC BY-SA 3.0)"
  corpus_root=(--root "$dumpdir/downloads/asterisk")
fi

# Stage 1: Kaldi directories of the training, development and evaluation sets.
run_stage 1 corpus "$dump" prepare corpus ${corpus_root[@]+"${corpus_root[@]}"} \
  --keep-speaker "${speaker:-main}" --dev "$num_dev" "${held_out[@]}" --out "$dump/data"

feature_stages

# Stage 5: train; a run that was stopped goes on from its last checkpoint.
if ((stage <= 5 && stop_stage >= 5)); then
  belongs_to "$exp" "$previous"
  save_call "$exp" "$0" "$@"
fi
resources=(--ngpu "$ngpu")
run_stage 5 train "$exp" train --features "$dump/features/train" --dev "$dump/features/dev" --exp "$exp" \
  --config "${train_config:-$profile}" ${train_words[@]+"${train_words[@]}"}
resources=()

# Stage 6: the model folder, and the vocoder if one is to be trained.
run_stage 6 average "$exp" average --exp "$exp"
vocoder_stage

# Stage 7: speak the evaluation set, and once more with the priors alone, to see what diffusion adds.
run_stage 7 decode "$exp" decode --exp "$exp" --data "$dump/data/eval" --out "$exp/decode/eval" --vocoder "$vocoder" \
  ${inference_words[@]+"${inference_words[@]}"}
run_stage 7 decode_priors "$exp" decode --exp "$exp" --data "$dump/data/eval" --out "$exp/decode/eval_priors" --vocoder "$vocoder" \
  ${inference_words[@]+"${inference_words[@]}"} --sampler prior

# Stage 8: compare both with the recordings; RESULTS.md and a page to listen to.
resources=(--command "$(printf '%q ' bash "$0" "$@")")
run_stage 8 evaluate "$exp" evaluate --decoded "$exp/decode/eval" "$exp/decode/eval_priors" \
  --features "$dump/features/eval" --out "$exp/evaluate" ${asr_words[@]+"${asr_words[@]}"}
resources=()

# Stage 9: a folder with all that `glottis synthesize --model` needs.
run_stage 9 pack "$exp" pack --exp "$exp" --out "$exp/model" --data "$origin"

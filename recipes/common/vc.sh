#!/usr/bin/env bash
# Voice conversion, from corpora of several speakers to a packed model that converts and speaks. A recipe sources this with
# its options, its name in `recipe`, and if it likes its corpus in `default_corpus` and its own defaults in `defaults`.
# shellcheck disable=SC2154
#
# Stages are as in tts.sh. Between data and training, stage 5 makes the content: a phone recogniser learns from the corpus's
# text, and what it hears in every clip is cached.
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
corpus=                      # embedded, arctic, vctk or libritts (default the recipe's; of arctic with mini embedded)
parts=                       # voices (default bdl slt clb rms) or subsets (default train-clean-100) to download
db_root=                     # folders of any known layout, joined by commas, used where they lie instead of --corpus
speakers=                    # the only speakers to use, such as "bdl slt" (default all)
unseen_speakers=             # speakers kept out of training for zero-shot conversion: names, or a number of them
min_clips=0                  # speakers with fewer clips are kept out of training too
untranscribed=false          # true keeps clips without text, for zero-shot conversion
fs=16000                     # sample rate, 16000 or 22050 Hz
frontend=espeak              # espeak (phones) or characters
f0min=65                     # lowest F0 in Hz
f0max=500                    # highest F0 in Hz
min_wav_duration=0.1         # shorter clips are dropped, in seconds
max_wav_duration=20          # longer clips are dropped, in seconds
num_dev=10                   # sentences for development
num_eval=40                  # sentences for evaluation, spread over the corpus and heard in training from nobody
holdout_every=0              # every Nth sentence is for evaluation, in place of num_eval; 0 is none
num_pairs=60                 # pairs of a sentence and a target speaker to convert
swap_matrix=true             # also convert with only the source and only the filter of the target
ngpu=0                       # GPUs to train on; 0 is the CPU
nj=2                         # processes that extract features and content
dumpdir=                     # folder of downloads and data (default dump/ beside recipes/)
expdir=                      # folder of experiments (default exp/ beside recipes/)
recognizer=                  # folder of a trained phone recogniser (default: train one on this corpus)
recognizer_args=             # options of glottis train-recognizer, such as "--steps 2000"
pitch=continuous             # continuous, or vq: codes of an F0 VQ-VAE trained on this corpus
pitch_args=                  # options of glottis train-pitch
init=                        # model folder to go on from, for example to learn a new voice from a few minutes
train_config=                # preset in conf/ (default the profile's for conversion)
train_args=                  # overrides of the preset, such as "steps=100 optimizer.lr=5e-4"
vocoder=griffin_lim          # griffin_lim, a HiFi-GAN (folder or public name), or train: a HiFi-GAN on these recordings
vocoder_args=                # options of glottis train-vocoder, such as "--preset v1 --steps 400000"
inference_args=              # options of synthesis and conversion, such as "--steps 8 --temperature 0.8"
asr=                         # recogniser that counts wrong words, or none (default the installed Whisper)
tag=                         # last part of the experiment's name (default profile and corpus)
# End of options
parse_options "${BASH_SOURCE[0]}" ${defaults[@]+"${defaults[@]}"} "$@"

one_of profile "$profile" mini small base
if [ -z "${default_corpus:-}" ]; then
  default_corpus=arctic
  [ "$profile" != mini ] || default_corpus=embedded
fi
check_speech_options
one_of corpus "${corpus:=$default_corpus}" embedded arctic vctk libritts
one_of pitch "$pitch" continuous vq
one_of swap_matrix "$swap_matrix" true false
one_of untranscribed "$untranscribed" true false
((num_pairs > 0)) || die 2 "--num_pairs: expected 1 pair or more, found $num_pairs"
source=$corpus
roots=()
if [ -n "$db_root" ]; then
  if [ -d "$db_root" ]; then roots=("$db_root"); else IFS=, read -r -a roots <<<"$db_root"; fi
  source=""
  for index in "${!roots[@]}"; do
    [ -d "${roots[index]}" ] || die 2 "--db_root: no folder '${roots[index]}'"
    roots[index]=$(CDPATH='' cd -- "${roots[index]}" && pwd)
    source+=${source:++}$(basename -- "${roots[index]}")
  done
fi
if [ -n "$init" ]; then
  [ -d "$init" ] || die 2 "--init: no model folder '$init'"
  init=$(CDPATH='' cd -- "$init" && pwd)
  [ -d "$init/recognizer" ] || die 2 "--init: '$init' has no recognizer/, it was not trained for conversion"
  [ -z "$recognizer" ] || die 2 "--init and --recognizer: a model goes on with the recogniser it has; give one of them"
  recognizer=$init/recognizer
elif [ -n "$recognizer" ]; then
  [ -d "$recognizer" ] || die 2 "--recognizer: no folder '$recognizer'"
  recognizer=$(CDPATH='' cd -- "$recognizer" && pwd)
fi
if [ -z "$tag" ]; then
  tag=$profile
  [ "$source" = "$default_corpus" ] || tag+=_$source
fi
dumpdir=$(absolute "${dumpdir:-$root/dump}")
dump=$dumpdir/vc_${source}_${fs}${speakers:+_${speakers// /+}}
exp=$(absolute "${expdir:-$root/exp}")/${recipe:-vc}_$tag
read -r -a part_words <<<"$parts"
read -r -a speaker_words <<<"$speakers"
read -r -a unseen_words <<<"$unseen_speakers"
read -r -a recognizer_words <<<"$recognizer_args"
read -r -a pitch_words <<<"$pitch_args"
read -r -a train_words <<<"$train_args"
read -r -a vocoder_words <<<"$vocoder_args"
read -r -a inference_words <<<"$inference_args"

set_up_speech

# Stage 0: the corpus. The embedded one is part of the package, and folders of the user's are used where they lie.
origin="$source, whose licence its owner gives"
archives=()
if [ -z "$db_root" ]; then
  case $corpus in
    embedded) origin="the embedded corpus of Glottis: synthetic speech of Kokoro-82M (Apache-2.0)" ;;
    arctic)
      origin="CMU ARCTIC (free for any use, with notice)"
      ((${#part_words[@]} > 0)) || part_words=(bdl slt clb rms)
      for part in "${part_words[@]}"; do
        archives+=("arctic_$part")
        roots+=("$dumpdir/downloads/arctic_$part/cmu_us_${part}_arctic")
      done
      ;;
    vctk)
      origin="VCTK 0.92 (CC BY 4.0)"
      archives=(vctk)
      roots=("$dumpdir/downloads/vctk")
      ;;
    libritts)
      origin="LibriTTS (CC BY 4.0)"
      ((${#part_words[@]} > 0)) || part_words=(train-clean-100)
      for part in "${part_words[@]}"; do
        archives+=("libritts_$part")
        roots+=("$dumpdir/downloads/libritts_$part/LibriTTS/$part")
      done
      ;;
  esac
fi
if ((${#archives[@]} > 0)); then
  run_stage 0 download "$dump" prepare download "${archives[@]}" --out "$dumpdir/downloads"
fi

# Stage 1: Kaldi directories of train, dev and eval, of unseen speakers and of clips without text.
corpus_words=(--dev "$num_dev" "${held_out[@]}" --min-clips "$min_clips")
((${#roots[@]} == 0)) || corpus_words+=(--root "${roots[@]}")
((${#speaker_words[@]} == 0)) || corpus_words+=(--keep-speaker "${speaker_words[@]}")
((${#unseen_words[@]} == 0)) || corpus_words+=(--unseen-speakers "${unseen_words[@]}")
[ "$untranscribed" = false ] || corpus_words+=(--untranscribed)
run_stage 1 corpus "$dump" prepare corpus "${corpus_words[@]}" --out "$dump/data"

feature_stages

# Stage 5: the content, the codes of pitch, and the model; a run that was stopped goes on from its last checkpoint.
data=$previous
if ((stage <= 5 && stop_stage >= 5)); then
  given=${recognizer:+"$recognizer $(done_id "${recognizer%/*}" 5.recognizer)"}
  belongs_to "$exp" "$data $given $recognizer_args $pitch $pitch_args"
  save_call "$exp" "$0" "$@"
  [ -z "$recognizer" ] || ln -sfn -- "$recognizer" "$exp/recognizer" # where the model folder takes it from
fi
if [ -z "$recognizer" ]; then
  recognizer=$exp/recognizer
  run_stage 5 recognizer "$exp" train-recognizer --features "$dump/features/train" --dev "$dump/features/dev" \
    --out "$recognizer" ${recognizer_words[@]+"${recognizer_words[@]}"}
fi
# The content follows from the data and the recogniser, so experiments with one recogniser share it.
previous="$data $(done_id "${recognizer%/*}" 5.recognizer)"
resources=(--nj "$nj")
for part in train dev eval; do
  run_stage 5 "content_$part" "$dump" prepare content --features "$dump/features/$part" --recognizer "$recognizer" --versions 3
done
resources=()
model_words=()
if [ -n "$init" ]; then
  model_words=(--init "$init") # which has its F0 VQ-VAE, if it works with one
elif [ "$pitch" = vq ]; then
  run_stage 5 pitch "$exp" train-pitch --features "$dump/features/train" --dev "$dump/features/dev" \
    --out "$exp/f0_vqvae" ${pitch_words[@]+"${pitch_words[@]}"}
  model_words=(model.pitch=vq "f0_vqvae='${exp//\'/\\\'}/f0_vqvae'") # quoted as Hydra wants it
fi
resources=(--ngpu "$ngpu")
run_stage 5 train "$exp" train --features "$dump/features/train" --dev "$dump/features/dev" --exp "$exp" \
  --config "${train_config:-${profile}_vc}" ${model_words[@]+"${model_words[@]}"} ${train_words[@]+"${train_words[@]}"}
resources=()

# Stage 6: the model folder, and the vocoder if one is to be trained.
run_stage 6 average "$exp" average --exp "$exp"
vocoder_stage

# convert NAME SET [OPTION...]: in stage 7 convert the pairs of SET into $exp/convert/NAME.
convert() {
  local name=$1 part=$2
  shift 2
  run_stage 7 "convert_$name" "$exp" convert-set --model "$exp/averaged" --pairs "$exp/pairs/$part.tsv" \
    --out "$exp/convert/$name" --vocoder "$vocoder" "$@" ${inference_words[@]+"${inference_words[@]}"}
}

# Stage 7: convert held-out sentences among the speakers of the training set, wholly and one attribute at a time; then
# between speakers the model has never heard; and speak the evaluation set, every sentence in its speaker's voice.
converted=("$exp/convert/both")
unheard=()
run_stage 7 pairs "$exp" prepare pairs --data "$dump/data/eval" --n "$num_pairs" --out "$exp/pairs/eval.tsv"
convert both eval --source-style target --filter-style target
if [ "$swap_matrix" = true ]; then
  convert source_only eval --source-style target --filter-style source
  convert filter_only eval --source-style source --filter-style target --pitch keep
  converted+=("$exp/convert/source_only" "$exp/convert/filter_only")
fi
for part in unseen untranscribed; do
  table=$dump/data/$part/spk2utt
  [ -f "$table" ] || continue
  if (($(wc -l <"$table") == 1)); then
    ((stage > 7 || stop_stage < 7)) || log "$part: one speaker alone gives no pair to convert between"
  else
    run_stage 7 "pairs_$part" "$exp" prepare pairs --data "$dump/data/$part" --n "$num_pairs" --out "$exp/pairs/$part.tsv"
    convert "$part" "$part" --source-style target --filter-style target
    unheard+=("$part")
  fi
done
run_stage 7 decode "$exp" decode --exp "$exp" --data "$dump/data/eval" --out "$exp/decode/eval" --vocoder "$vocoder" \
  ${inference_words[@]+"${inference_words[@]}"}

# judge NAME SET FOLDER...: in stage 8 measure conversions of the pairs of SET, into $exp/NAME.
judge() {
  local name=$1 part=$2
  shift 2
  run_stage 8 "$name" "$exp" evaluate-conversion --decoded "$@" --pairs "$exp/pairs/$part.tsv" --texts "$dump/data/$part" \
    --audio "$audio" --out "$exp/$name" ${probe[@]+"${probe[@]}"} ${asr_words[@]+"${asr_words[@]}"}
}

# Stage 8: speaker similarity, pitch and words of the conversions, how much of the speaker the content tells, and the spoken sentences beside the recordings.
resources=(--command "$(printf '%q ' bash "$0" "$@")")
probe=(--probe-model "$exp/averaged" --probe-features "$dump/features/train")
judge evaluate_conversion eval "${converted[@]}"
probe=()
for part in ${unheard[@]+"${unheard[@]}"}; do
  judge "evaluate_$part" "$part" "$exp/convert/$part"
done
run_stage 8 evaluate "$exp" evaluate --decoded "$exp/decode/eval" --features "$dump/features/eval" --out "$exp/evaluate" \
  ${asr_words[@]+"${asr_words[@]}"}
resources=()

# Stage 9: a folder with all that converting and speaking need.
run_stage 9 pack "$exp" pack --exp "$exp" --out "$exp/model" --data "$origin"

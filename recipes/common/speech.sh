#!/usr/bin/env bash
# What the recipes for speech have in common: checks of their options, and their stages 2 to 4; sourced, needs log.sh,
# stage.sh and the options of tts.sh or vc.sh.
# shellcheck disable=SC2034,SC2154

# one_of OPTION VALUE CHOICE...: end unless VALUE is one of the choices.
one_of() {
  local option=$1 value=$2 choice list
  shift 2
  for choice; do [ "$value" != "$choice" ] || return 0; done
  list=$(printf '%s, ' "${@:1:$#-1}")
  die 2 "--$option: found '$value', expected ${list%, } or ${*: -1}"
}

# check_speech_options: end if one of the options that all speech recipes have cannot be meant. Sets audio, the mel
# contract of the rate; held_out, how `prepare corpus` chooses the evaluation set; asr_words, how to evaluate words.
check_speech_options() {
  one_of fs "$fs" 16000 22050
  audio=ljspeech22k
  [ "$fs" = 22050 ] || audio=libri16k
  one_of frontend "$frontend" espeak characters
  ((num_dev > 0 && num_eval > 0)) || die 2 "--num_dev and --num_eval: expected 1 sentence or more, found $num_dev and $num_eval"
  held_out=(--eval "$num_eval")
  ((holdout_every == 0)) || held_out=(--holdout-every "$holdout_every")
  case $asr in
    "") asr_words=() ;;
    none) asr_words=(--no-asr) ;;
    *) asr_words=(--asr "$asr") ;;
  esac
}

# set_up_speech: the environment of these options.
set_up_speech() {
  local extras=train,eval,asr
  [ "$frontend" != espeak ] || extras+=,phonemes
  if ((ngpu > 0)); then set_up_environment "$extras" --cuda; else set_up_environment "$extras"; fi
}

# feature_stages: stages 2 to 4 on the sets train, dev and eval of $dump/data.
feature_stages() {
  local part
  # Stage 2: mel, F0 and phones.
  resources=(--nj "$nj")
  for part in train dev eval; do
    run_stage 2 "features_$part" "$dump" prepare features --data "$dump/data/$part" --out "$dump/features/$part" \
      --audio "$audio" --frontend "$frontend" --f0-min "$f0min" --f0-max "$f0max"
  done
  resources=()

  # Stage 3: drop what cannot be learnt from; the reasons are counted.
  for part in train dev eval; do
    run_stage 3 "validate_$part" "$dump" prepare validate --features "$dump/features/$part" \
      --min-seconds "$min_wav_duration" --max-seconds "$max_wav_duration"
  done

  # Stage 4: tokens and statistics, and how long every phone lasts.
  run_stage 4 statistics "$dump" prepare statistics --features "$dump/features/train"
  run_stage 4 align "$dump" align --features "$dump/features/train" \
    --dev "$dump/features/dev" "$dump/features/eval"
}

# vocoder_stage: in stage 6 train a vocoder on the same recordings, if --vocoder asks for it; $vocoder is then its folder.
vocoder_stage() {
  [ "$vocoder" = train ] || return 0
  run_stage 6 train_vocoder "$exp" train-vocoder --features "$dump/features/train" --out "$exp/vocoder" \
    ${vocoder_words[@]+"${vocoder_words[@]}"}
  vocoder=$exp/vocoder
}

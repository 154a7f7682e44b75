#!/usr/bin/env bash
# An image representation model, from images to a packed model with its figures. A recipe sources this with its options, its
# name in `recipe` and its images in `data`: a generated set, or empty where the user gives a folder. With `flips` true half of
# the images are mirrored in training.
#
# A stage is one call of `glottis image` (or a few of one kind). Where it ends well it leaves a marker with its command, and is
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

# Options
stage=1                      # first stage to run
stop_stage=6                 # last stage to run
method=encdiff               # encdiff, diffae, pdae, ddpm, isometric, labelled, betavae, factorvae or another of conf/image
profile=mini                 # mini (two CPU cores, an hour at most) or paper (a GPU)
fast=false                   # true: a few hundred steps and small measurements, to see everything work in minutes
db_root=                     # images used where they lie in place of the generated ones: a folder, an npz or an h5
size=                        # height and width in pixels (default 32 for mini, 64 for paper)
seed=0                       # of weights, data order and noise
threads=2                    # CPU threads of the trainings
ngpu=0                       # 1 trains on a GPU, 0 on the CPU
expdir=                      # folder of experiments (default exp/ beside recipes/)
train_config=                # preset in conf/image (default METHOD_PROFILE)
train_args=                  # overrides of the preset, such as "steps=100 model.n_units=6"
latent=none                  # vq or kl: such a first stage is trained before, and its latents are diffused in place of pixels
stage_args=                  # overrides of the preset of the first stage, such as "model.vq.perceptual=1"
base_args=                   # overrides of the preset of the base, for pdae, disdiff, clip_guided and isometric
split=iid                    # what scores are read on: iid, compositional, or held_out (a fifth is kept from every training)
trees=                       # of DCI: histogram (seconds; default of mini) or exact (as published, ten minutes; default of paper)
edit_label=                  # label along which images are edited (default the first one)
licence=                     # for the card: what the images are, and under which licence
tag=                         # last part of the experiment's name (default method, profile, seed)
# End of options
parse_options "${BASH_SOURCE[0]}" "$@"

[[ $profile =~ ^(mini|paper)$ ]] || die 2 "--profile: found '$profile', expected mini or paper"
[[ $fast =~ ^(true|false)$ ]] || die 2 "--fast: found '$fast', expected true or false"
[[ $latent =~ ^(none|vq|kl)$ ]] || die 2 "--latent: found '$latent', expected none, vq or kl"
[[ $latent != none || -z $stage_args ]] || die 2 "--stage_args: there is no first stage without --latent vq or kl"
[[ $latent = none || $method != *vae ]] || die 2 "--latent: a VAE diffuses nothing"
[[ -z $size || $size =~ ^(8|16|32|64|128|256)$ ]] || die 2 "--size: found '$size', expected a power of two from 8 to 256"
[[ $split =~ ^(iid|compositional|held_out)$ ]] || die 2 "--split: found '$split', expected iid, compositional or held_out"
[[ $trees =~ ^(|exact|histogram)$ ]] || die 2 "--trees: found '$trees', expected exact or histogram"
((ngpu <= 1)) || die 2 "--ngpu: found $ngpu, expected 0 or 1"
case $method in
  first_stage*) die 2 "--method: a first stage is part of another method: give that one and --latent vq or kl" ;;
  contrastive) die 2 "--method: an image-text encoder is part of another method: give clip_guided" ;;
esac
preset=${train_config:-${method}_$profile}
[[ $preset == *.yaml || -f $root/conf/image/$preset.yaml ]] || die 2 "--method: there is no conf/image/$preset.yaml"
if [ -n "$db_root" ]; then
  [ -e "$db_root" ] || die 2 "--db_root: no file or folder '$db_root'"
  [ -z "${data:-}" ] || generated= # nothing is known of what takes the place of the generated ones
  data=$(absolute "$db_root")
fi
[ -n "${data:-}" ] || die 2 "--db_root: give the folder of the images; recipes/${recipe:-image}/README.md says where to get them"
default_size=32 default_trees=histogram
[ "$profile" = mini ] || default_size=64 default_trees=exact
size=${size:-$default_size}
trees=${trees:-$default_trees}
variant=$profile
[ "$fast" = false ] || variant+=_fast
[ "$split" != held_out ] || variant+=_held_out
space=
[ "$latent" = none ] || space=_$latent
if [ -z "$tag" ]; then
  tag=${method}_$variant$space
  ((seed == 0)) || tag+=_seed$seed
fi
expdir=$(absolute "${expdir:-$root/exp}")
exp=$expdir/${recipe:-image}_$tag
read -r -a train_words <<<"$train_args"
read -r -a base_words <<<"$base_args"
read -r -a stage_words <<<"$stage_args"
source=(--data "$data")
common=("size=$size")
[ "$split" != held_out ] || common+=(held_out=0.2)
[ -z "${flips:-}" ] || common+=("flips=$flips")
measure=(--trees "$trees" --split "$split") sampling=() gap=()
case $method in
  *vae) ;;
  *) sampling=(--steps 50) ;;
esac
prior=(--steps 3000)
if [ "$fast" = true ]; then
  common+=(steps=300 batch_size=32 checkpoint_every=100 figures_every=150 optimizer.warmup=50)
  measure=(--fast --split "$split")
  gap=(--images 32 --times 10)
  prior=(--steps 300 --codes 1000)
  ((${#sampling[@]} == 0)) || sampling=(--steps 10)
fi

device=(--device cpu)
if ((ngpu > 0)); then
  device=(--device cuda)
  set_up_environment train,eval --cuda
else
  set_up_environment train,eval
fi

# part NAME PRESET [ARGUMENT...]: in stage 1 train a model that others stand on, in an experiment that all methods of these
# images and sizes share; `made` is then its model folder.
part() {
  local name=$1 preset=$2 folder=$expdir/${recipe:-image}_$1_${variant}_$size
  shift 2
  resources=("threads=$threads" "${device[@]}")
  run_stage 1 "$name" "$folder" image train --exp "$folder" --config "${preset}_$profile" "${source[@]}" "$@"
  resources=()
  made=$folder/model
}

# Stage 1: what the method stands on. A first stage, whose latents are diffused; the image-text encoder of clip_guided; the
# frozen diffusion model of guided methods; the one that is made isometric.
parts=() first_stage=() encoder=()
if [ "$method" = clip_guided ]; then # before the others: images without labels are refused in seconds
  part contrastive contrastive "${common[@]}"
  encoder=(--encoder "$made") heard=$previous previous=none
fi
if [ "$latent" != none ]; then
  part "first_stage_$latent" "first_stage_$latent" "${common[@]}" ${stage_words[@]+"${stage_words[@]}"}
  first_stage=(--first-stage "$made")
fi
case $method in
  pdae | disdiff | clip_guided)
    part "ddpm$space" ddpm ${first_stage[@]+"${first_stage[@]}"} "${common[@]}" ${base_words[@]+"${base_words[@]}"}
    parts=(--base "$made" ${encoder[@]+"${encoder[@]}"})
    [ "$method" != clip_guided ] || previous+=+$heard
    ;;
  isometric)
    part "ddpm$space" ddpm ${first_stage[@]+"${first_stage[@]}"} "${common[@]}" ${base_words[@]+"${base_words[@]}"}
    parts=(--init "$made")
    ;;
  *) parts=(${first_stage[@]+"${first_stage[@]}"}) ;;
esac

# Stage 2: train; a run that was stopped goes on from its last checkpoint.
if ((stage <= 2 && stop_stage >= 2)); then
  belongs_to "$exp" "$previous"
  save_call "$exp" "$0" "$@"
fi
resources=("threads=$threads" "${device[@]}")
run_stage 2 train "$exp" image train --exp "$exp" --config "$preset" ${parts[@]+"${parts[@]}"} "${source[@]}" "${common[@]}" "seed=$seed" \
  ${train_words[@]+"${train_words[@]}"}
resources=()

# Stage 3: a diffusion model of the codes, to draw new ones from, where there are codes.
resources=("${device[@]}" --threads "$threads")
case $method in
  ddpm | isometric | labelled) ;;
  *) run_stage 3 prior "$exp" image train-prior --model "$exp/model" "${prior[@]}" --seed "$seed" ;;
esac
resources=("${device[@]}")

# Stage 4: disentanglement, reconstruction and sample quality beside a random encoder, PCA and real images; RESULTS.md.
run_stage 4 evaluate "$exp" image evaluate --model "$exp/model" --out "$exp/evaluate" --seed "$seed" \
  "${measure[@]}" ${sampling[@]+"${sampling[@]}"}

# Stage 5: pictures of what the code holds; for guided methods what their base misses, and what the code fills in of it.
run_stage 5 draw "$exp" image draw --model "$exp/model" --out "$exp/pictures" ${edit_label:+--label "$edit_label"} \
  ${sampling[@]+"${sampling[@]}"}
case $method in
  pdae | disdiff | clip_guided)
    run_stage 5 gap "$exp" image gap --model "$exp/model" --out "$exp/gap" --seed "$seed" ${gap[@]+"${gap[@]}"}
    ;;
esac
resources=()

# Stage 6: a folder with its card, and a zip of it.
run_stage 6 pack "$exp" image pack --model "$exp/model" --out "$exp/packed/$tag" --results "$exp/evaluate/RESULTS.md" \
  --data "${licence:-${generated:-Not stated.}}"

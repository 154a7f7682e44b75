#!/usr/bin/env bash
# Running a stage once; sourced, needs log.sh and the variables root, stage and stop_stage.
# shellcheck disable=SC2154

previous=none # id of the last stage that the next one builds on
resources=()  # arguments that change how fast a stage runs and not what it makes

progress_seconds=30
[ ! -t 1 ] || progress_seconds=1

# absolute PATH: PATH as it is from the root of the file system.
absolute() {
  case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s' "$PWD/$1" ;;
  esac
}

# set_up_environment EXTRAS [--cuda]: install what is missing; python is then its interpreter.
set_up_environment() {
  bash "$root/tools/install.sh" --extras "$@"
  python=$(absolute "${GLOTTIS_VENV:-$root/.venv}")/bin/python
}

# save_call FOLDER SCRIPT [ARGUMENT...]: write FOLDER/run.sh, which repeats this call.
save_call() {
  local folder=$1
  shift
  mkdir -p -- "$folder"
  {
    printf '#!/usr/bin/env bash\ncd %q &&\n ' "$PWD"
    printf ' %q' bash "$@"
    printf '\n'
  } >"$folder/run.sh.tmp"
  mv -- "$folder/run.sh.tmp" "$folder/run.sh"
}

# belongs_to FOLDER ID: FOLDER is made from ID alone; end if it was made from another.
belongs_to() {
  local file=$1/.done/belongs_to
  mkdir -p -- "$1/.done"
  [ -f "$file" ] || printf '%s\n' "$2" >"$file"
  [ "$(cat -- "$file")" = "$2" ] ||
    die 1 "$1 was trained on data that have been made anew since. Remove it, or give the new model another --tag."
}

# done_id FOLDER STAGE: the id of a stage done in FOLDER, such as 5.train, or "none".
done_id() {
  local marker=$1/.done/$2
  if [ -f "$marker" ]; then sed -n 2p -- "$marker"; else printf 'none\n'; fi
}

# run_stage NUMBER NAME FOLDER VERB [ARGUMENT...]: call `glottis VERB ARGUMENT... RESOURCES...`, which writes to FOLDER,
# unless FOLDER's marker says that this very command was done on what the stages before it have made. A VERB that ends in
# .py is a script of its own.
run_stage() {
  local number=$1 name=$2 folder=$3 marker=$3/.done/$1.$2 command done_command="" done_id=none done_after="" begin=$SECONDS
  shift 3
  command=$(printf '%q ' "$@")
  local program=("$python" -P -m tts.apps.cli)
  [[ $1 != *.py ]] || program=("$python")
  if [ -f "$marker" ]; then
    { read -r done_command && read -r done_id && read -r done_after; } <"$marker" || done_command=""
  fi
  if ((number < stage || number > stop_stage)); then
    previous=$done_id
    return
  fi
  if [ "$done_command" = "${command% }" ] && [ "$done_after" = "$previous" ]; then
    previous=$done_id
    log "stage $number, $name: done before"
    return
  fi
  log "stage $number, $name: $command"
  mkdir -p -- "$folder/.done" "$folder/log"
  rm -f -- "$marker"
  exec 9>"$folder/.lock" # the command inherits it, so that it also holds for one whose caller was killed
  if command -v flock >/dev/null && ! flock -w 5 9; then
    die 1 "another run is at work in $folder. Wait for it or end it."
  fi
  PYTHONUNBUFFERED=1 TQDM_MININTERVAL=$progress_seconds "${program[@]}" "$@" ${resources[@]+"${resources[@]}"} 2>&1 |
    tee -a -- "$folder/log/$number.$name.log" || die $? "stage $number, $name failed; its log is $folder/log/$number.$name.log"
  exec 9>&-
  done_id=$(date '+%Y%m%dT%H%M%S')-$$-$RANDOM
  printf '%s\n' "${command% }" "$done_id" "$previous" >"$marker.tmp"
  mv -- "$marker.tmp" "$marker"
  previous=$done_id
  log "stage $number, $name: done in $((SECONDS - begin)) s"
}

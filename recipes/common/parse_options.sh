#!/usr/bin/env bash
# Command-line options that are shell variables, as in Kaldi and ESPnet; sourced, needs log.sh.
#
# A script declares its options with defaults between the lines "# Options" and "# End of options", one a line:
#   stage=0 # first stage to run
# and calls: parse_options FILE "$@". Names are given as --stop_stage or --stop-stage; a default that is a whole number
# takes only whole numbers; --help shows the values that hold where it stands. (A local name begins with _, which no
# option does: bash's locals hide the caller's variables.)

option_lines() {
  sed -n '/^# Options$/,/^# End of options$/s/^\([a-z][a-z0-9_]*\)=[^#]*# \(.*\)$/\1 \2/p' "$1"
}

# option_name ARGUMENT: --stop-stage=3 is stop_stage.
option_name() {
  local _name=${1%%=*}
  _name=${_name#--}
  printf '%s' "${_name//-/_}"
}

print_help() {
  local _name _meaning
  printf 'usage: %s [--OPTION VALUE]...\n\n' "$0"
  while read -r _name _meaning; do
    printf '  --%-17s %s%s\n' "$_name" "$_meaning" "${!_name:+ (default ${!_name})}"
  done < <(option_lines "$1")
}

# set_option NAME VALUE: the value must be of the kind of the default; _numbers are the options whose default is a number.
set_option() {
  if [[ $_numbers == *" $1 "* && ! $2 =~ ^[0-9]+$ ]]; then
    die 2 "--$1: found '$2', expected a whole number"
  fi
  printf -v "$1" '%s' "$2"
}

parse_options() {
  local _file=$1 _names _name _numbers=" "
  _names=" $(option_lines "$_file" | cut -d ' ' -f 1 | tr '\n' ' ')"
  for _name in $_names; do [[ ! ${!_name} =~ ^[0-9]+$ ]] || _numbers+="$_name "; done
  shift
  while [ $# -gt 0 ]; do
    _name=$(option_name "$1")
    case $1 in
      -h | --help)
        print_help "$_file"
        exit 0
        ;;
      --*) [[ $_names == *" $_name "* ]] || die 2 "unknown option '$1'; --help lists them" ;;
      *) die 2 "unexpected argument '$1'; options are --NAME VALUE, --help lists them" ;;
    esac
    if [[ $1 == *=* ]]; then
      set_option "$_name" "${1#*=}"
      shift
    elif [ $# -eq 1 ] || [[ $2 == --* && $_names == *" $(option_name "$2") "* ]]; then
      die 2 "--$_name needs a value"
    else
      set_option "$_name" "$2"
      shift 2
    fi
  done
}

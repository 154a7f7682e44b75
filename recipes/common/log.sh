#!/usr/bin/env bash
# Messages of the recipes; sourced.

# log MESSAGE: one line with the time and the place it comes from.
log() {
  printf '%s (%s:%s) %s\n' "$(date '+%Y-%m-%dT%H:%M:%S')" "${BASH_SOURCE[1]##*/}" "${BASH_LINENO[0]}" "$*"
}

# die STATUS MESSAGE: say what is wrong and end the script; status 2 = the command line is at fault.
die() {
  local status=$1
  shift
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit "$status"
}

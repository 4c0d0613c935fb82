#!/usr/bin/env bash
# A scheduler of twenty lines, for tests where there is none: runs each job at once on this machine.
#   stand_in.sh submit FOLDER JOBSCRIPT    prints the job's number
#   stand_in.sh status FOLDER NUMBER       prints running, success or failed
set -eu
action=$1
folder=$2
case "$action" in
  submit)
    mkdir -p "$folder"
    number=$(mktemp "$folder/job-XXXXXX")
    # A session of its own: the job outlives Snakemake, as on a cluster.
    setsid bash -c 'bash "$1" >/dev/null 2>&1 && echo success >"$2" || echo failed >"$2"' _ "$3" "$number" \
      </dev/null >/dev/null 2>&1 &
    basename "$number"
    ;;
  status)
    state=$(cat "$folder/$3")
    echo "${state:-running}"
    ;;
esac

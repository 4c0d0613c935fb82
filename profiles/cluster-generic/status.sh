#!/usr/bin/env bash
# What became of a job of Slurm, in the three words that Snakemake knows. Another scheduler: ask its own.
# A job that squeue no longer lists is failed: Snakemake then tries it again, and that is safe.
state=$(squeue --noheader --states=all --format=%T --jobs="$1" 2>/dev/null)
case "$state" in
  COMPLETED) echo success ;;
  PENDING | CONFIGURING | RUNNING | SUSPENDED | COMPLETING | REQUEUED | STAGE_OUT) echo running ;;
  *) echo failed ;;
esac

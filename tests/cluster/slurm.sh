#!/usr/bin/env bash
# A real Slurm on this one machine, from Debian's packages: no systemd, cgroups or accounting, and one
# GPU that is only a name (/dev/zero). Memory is watched every second, and a job over it is ended.
#
#   slurm.sh start FOLDER   install what is missing, write the configuration, wait for the node
#   slurm.sh stop FOLDER    end the daemons that `start` began, and nothing else
#
# Needs root and apt. Exit code 3: not here, and standard error says why (a machine that has a Slurm of
# its own is left alone, and packages that cannot be had are no fault of the project).
set -euo pipefail

action=$1
lab=$2
host=$(hostname -s)
conf=/etc/slurm/slurm.conf
gres=/etc/slurm/gres.conf
cluster=cxrcam-tests
mark="# written by tests/cluster/slurm.sh"

ours() { # PIDFILE NAME: whether that process lives and is what the file says
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

lives() { # PID: whether it runs; one that has ended and that nobody has asked about does not
  [ -e "/proc/$1/status" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

stop() {
  local pid
  if ours "$lab/slurmctld.pid" slurmctld; then scancel --quiet --user=root || true; fi
  for name in slurmd slurmctld munged; do
    if ours "$lab/$name.pid" "$name"; then
      # slurmd removes its file long before it ends: it waits for its jobs.
      pid=$(cat "$lab/$name.pid")
      kill "$pid"
      for _ in $(seq 600); do lives "$pid" || break; sleep 0.1; done
      kill -KILL "$pid" 2>/dev/null || true
    fi
  done
  # What a job started and did not end: without cgroups Slurm loses sight of some.
  for process in /proc/[0-9]*; do
    if grep -qsz "^SLURM_CLUSTER_NAME=$cluster$" "$process/environ"; then
      kill -KILL "${process#/proc/}" 2>/dev/null || true
    fi
  done
  for file in "$conf" "$gres"; do
    if grep -qxF "$mark" "$file" 2>/dev/null; then rm "$file"; fi
  done
}

start() {
  local missing=() name state
  for name in munge slurmctld slurmd slurm-client; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null || true
    if ! apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null; then
      echo "apt-get could not install ${missing[*]}" >&2
      exit 3
    fi
  fi
  for file in "$conf" "$gres"; do
    if [ -e "$file" ] && ! grep -qxF "$mark" "$file"; then
      echo "$file is there and not ours: this machine's own Slurm is left alone" >&2
      exit 3
    fi
  done

  # Tests that were killed leave their Slurm behind.
  if [ -e "$conf" ]; then (lab=$(sed -n 's|^SlurmdSpoolDir=\(.*\)/spool$|\1|p' "$conf") && stop); fi

  mkdir -p "$lab"/{state,spool} /etc/slurm
  chmod 755 "$lab" "$lab"/*
  # More CPUs than there may be: the jobs of these tests are small, and GPU jobs must not be kept apart
  # by a lack of CPUs. A finished job is remembered for MinJobAge seconds.
  cat >"$conf" <<CONF
$mark
ClusterName=$cluster
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
SlurmctldPort=6827
SlurmdPort=6828
SlurmctldPidFile=$lab/slurmctld.pid
SlurmdPidFile=$lab/slurmd.pid
SlurmctldLogFile=$lab/slurmctld.log
SlurmdLogFile=$lab/slurmd.log
StateSaveLocation=$lab/state
SlurmdSpoolDir=$lab/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
MailProg=/bin/true
MinJobAge=86400
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
KillWait=15
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES DefMemPerCPU=256 MaxTime=1-00:00:00 DefaultTime=00:30:00 State=UP
CONF
  printf '%s\nNodeName=%s Name=gpu File=/dev/zero\n' "$mark" "$host" >"$gres"

  if ! munge -n </dev/null >/dev/null 2>&1; then
    install -d -o munge -g munge -m 755 /run/munge
    [ -s /etc/munge/munge.key ] || runuser -u munge -- /usr/sbin/mungekey
    runuser -u munge -- /usr/sbin/munged
    cp /run/munge/munged.pid "$lab/munged.pid"
  fi
  ours "$lab/slurmctld.pid" slurmctld || /usr/sbin/slurmctld -i -f "$conf" </dev/null >>"$lab/start.log" 2>&1
  for _ in $(seq 100); do scontrol ping 2>/dev/null | grep -q 'is UP' && break; sleep 0.1; done
  ours "$lab/slurmd.pid" slurmd || /usr/sbin/slurmd -f "$conf" -N "$host" </dev/null >>"$lab/start.log" 2>&1

  for _ in $(seq 300); do
    state=$(sinfo -h -N -o %t 2>/dev/null | head -1 || true)
    case "$state" in
      idle | mix | alloc) return 0 ;;
      down* | drain*) scontrol update nodename="$host" state=resume 2>/dev/null || true ;;
    esac
    sleep 0.1
  done
  echo "the node did not become idle" >&2
  tail -n 20 "$lab"/*.log >&2
  exit 1
}

"$action"

#!/usr/bin/env bash
# A SLURM cluster of this one machine, for a minute: launch/slurm.py trains digits as a job of two processes, the job is
# preempted (scontrol requeue), goes on where it stopped and finishes. Exit status 77: SLURM is not here; the reason is printed.
#   bash launch/try_slurm.sh             with slurmctld, slurmd and munged as installed
#   bash launch/try_slurm.sh --install   as root on Debian: installs slurm-wlm and munge where they are missing
# PYTHON names the interpreter (default .venv/bin/python, as launch/setup.sh makes it). All else lies in a temporary folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-.venv/bin/python}
export PATH=$PATH:/usr/sbin:/sbin JAX_PLATFORMS=cpu
epochs=24

skip() { echo "skipped: $*"; exit 77; }
missing() { for name in slurmctld slurmd sbatch munged; do command -v "$name" >/dev/null || echo "$name"; done; }
if [ -n "$(missing)" ] && [ "${1:-}" = --install ]; then
    [ "$(id -u)" = 0 ] || skip "only root can install SLURM"
    command -v apt-get >/dev/null || skip "SLURM is installed by apt-get, which is not here"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge; } >/dev/null 2>&1 \
        || skip "apt-get cannot install slurm-wlm and munge here"
fi
[ -z "$(missing)" ] || skip "$(missing | xargs) not installed; as root on Debian: bash launch/try_slurm.sh --install"

folder=$(mktemp -d)
chmod 755 "$folder"
started=()
stop() {
    for file in "${started[@]}"; do
        if [ -f "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
    done
    sleep 1
    rm -rf "$folder"
}
trap stop EXIT
fail() {
    echo "failed: $*"
    tail -n 40 "$folder"/jobs/*.out "$folder"/*.log 2>/dev/null || true
    exit 1
}

mkdir -m 755 "$folder/munge" "$folder/state" "$folder/spool"
head -c 1024 /dev/urandom >"$folder/munge/key"
chmod 600 "$folder/munge/key"
started+=("$folder/munge/pid")
munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"

host=$(hostname -s)
ports=($("$python" -c 'import socket
probes = [socket.socket() for _ in range(2)]
for probe in probes: probe.bind(("127.0.0.1", 0))
print(*(probe.getsockname()[1] for probe in probes))'))
cat >"$folder/slurm.conf" <<END
ClusterName=try
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthInfo=socket=$folder/munge/socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=try Nodes=$host Default=YES MaxTime=1:00:00 State=UP
END
export SLURM_CONF=$folder/slurm.conf
started+=("$folder/slurmctld.pid" "$folder/slurmd.pid")
slurmctld -i
slurmd
for _ in $(seq 60); do [ "$(sinfo -h -o %T 2>/dev/null)" != idle ] || break; sleep 0.5; done
[ "$(sinfo -h -o %T)" = idle ] || fail "the node does not come up"

run=$folder/run
said=$("$python" launch/slurm.py --name=digits --tasks=2 --time=50 --folder="$folder/jobs" -- \
    --config=configs/jmi_digits.py --workdir="$run" --config.epochs=$epochs --config.mi.every=4 \
    --config.checkpoint.minutes=0.02 --config.probe.at_end=False)
echo "$said"
job=${said##* }
field() { scontrol show job "$job" | tr ' ' '\n' | sed -n "s/^$1=//p"; }
lines() { if [ -f "$run/metrics.jsonl" ]; then wc -l <"$run/metrics.jsonl"; else echo 0; fi; }

until [ "$(lines)" -ge 4 ]; do
    case $(field JobState) in PENDING|CONFIGURING|RUNNING) sleep 0.2 ;; *) fail "the job ended before it was preempted" ;; esac
done
[ "$(lines)" -lt $epochs ] || fail "the job was too fast to be preempted"
echo "preempting job $job after $(lines) log points"
scontrol requeue "$job"
until [ "$(field Restarts)" = 1 ] && [ "$(field JobState)" = COMPLETED ]; do
    case $(field JobState) in FAILED|CANCELLED|TIMEOUT|NODE_FAIL) fail "the job ended as $(field JobState)" ;; esac
    sleep 1
done

cat "$folder"/jobs/digits-"$job".out
grep -q 'stopped by SIGTERM with a checkpoint' "$folder"/jobs/digits-"$job".out || fail "no checkpoint at the preemption"
grep -q 'resuming' "$folder"/jobs/digits-"$job".out || fail "the job began anew"
"$python" - "$run" $epochs <<'END' || fail "metrics.jsonl is not that of one whole run"
import json, pathlib, sys
run, epochs = pathlib.Path(sys.argv[1]), int(sys.argv[2])
seen = [json.loads(line)['epoch'] for line in (run / 'metrics.jsonl').read_text().splitlines()]
assert seen == sorted(set(seen)) and seen[-1] == epochs, seen
assert json.loads((run / 'environment.json').read_text())['processes'] == 2
END
echo "job $job: preempted once, resumed and finished $epochs epochs with 2 processes"

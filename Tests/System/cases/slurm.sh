# Nodes as jobs of a Slurm: `distcomp scale` with the hook that is shipped, a real slurmctld and slurmd, nodes within their jobs' control
# groups, gone when there is nothing to do, and before their time limit.
source "$(dirname "$0")/../lib.sh"
for program in munged slurmctld slurmd sbatch; do
  PATH=$PATH:/usr/sbin command -v "$program" > /dev/null || { not_ok "$program is there" "install slurm-wlm and munge"; end_case; }
done
hooks=$(readlink -f "$(dirname "$0")/../../../packaging/hooks")
start_redis
# One more node than processors would never begin.
processors=$(nproc)

# --- a Slurm of one machine -----------------------------------------------------------------------------------------------------------
own=$CASE/slurm
# It looks addresses up as a machine with a network does.
ip address add 10.99.99.99/32 dev lo
mkdir -p "$own/state" "$own/spool"
mkdir -m 700 "$own/munge"
head -c 1024 /dev/urandom > "$own/munge/key"
chmod 400 "$own/munge/key"
munged --force --key-file="$own/munge/key" --socket="$own/munge/socket" --pid-file="$own/munge/pid" --log-file="$own/munge/log" \
  --seed-file="$own/munge/seed" || not_ok "munged starts" "$(cat "$own/munge/log")"
machine=$(hostname -s)
cat > "$own/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$machine(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$own/munge/socket
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
StateSaveLocation=$own/state
SlurmdSpoolDir=$own/spool
SlurmctldPidFile=$own/slurmctld.pid
SlurmdPidFile=$own/slurmd.pid
SlurmctldLogFile=$own/slurmctld.log
SlurmdLogFile=$own/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MailProg=/bin/true
SlurmctldTimeout=600
SlurmdTimeout=600
KillWait=30
NodeName=$machine NodeAddr=127.0.0.1 CPUs=$processors RealMemory=1000 State=UNKNOWN
PartitionName=batch Nodes=$machine Default=YES MaxTime=INFINITE State=UP
CONF
cat > "$own/cgroup.conf" <<CONF
CgroupPlugin=cgroup/v2
IgnoreSystemd=yes
ConstrainRAMSpace=yes
ConstrainCores=yes
CONF
export SLURM_CONF=$own/slurm.conf
# Slurm's own group is made beside those of services, where systemd would make it.
mkdir -p /sys/fs/cgroup/system.slice
echo '+memory +pids +cpu +cpuset' > /sys/fs/cgroup/cgroup.subtree_control
echo '+memory +pids +cpu +cpuset' > /sys/fs/cgroup/system.slice/cgroup.subtree_control
slurmctld && slurmd || not_ok "Slurm starts" "$(tail -n 5 "$own"/*.log)"
for pid in munge/pid slurmctld.pid slurmd.pid; do
  wait_until 60 test -s "$own/$pid" && started+=("$(cat "$own/$pid")")
done
idle() { sinfo --noheader --format=%t | grep -q '^idle'; }
expect "Slurm has a machine" wait_until 120 idle

# --- jobs for what waits --------------------------------------------------------------------------------------------------------------
configure '"stop_grace_seconds": 5'
sed -i '/"node_name"/s/"node_name": "node", //' "$CASE/conf.json"
export HOOK_DISTCOMPD=$PRODUCTS/distcompd HOOK_CONFIG=$CASE/conf.json HOOK_STATE=$CASE/nodes HOOK_LOGS=$CASE HOOK_IDLE_SECONDS=8
echo '[{"name": "job", "memory": "400M", "cores": 1, "max": 1}]' > "$CASE/shapes.json"
scale() {
  "$PRODUCTS/distcomp" scale "${queue[@]}" --shapes "$CASE/shapes.json" --exec "$hooks/slurm" --every 2 --boot-seconds 600 --hook-seconds 300 \
    >> "$CASE/scale.log" 2>&1 &
  scaler=$!
  started+=("$scaler")
}
submit 'shell:5:50M:1:300:cat /proc/self/cgroup' 'shell:4:30M:1:300:tail /dev/zero' 'shell:3:50M:1:300:echo third'
scale
expect "the tasks run in a job of Slurm" wait_until 300 all_ended
[[ $failures -eq 0 ]] || cat "$CASE/scale.log" "$CASE"/job-*.log "$own"/slurm*.log
expect_match "within the job's control group" '/job_[0-9]+/.*distcomp\.job-' "$(field stdout 'cat /proc/self/cgroup')"
expect_equal "where their caps hold" oom "$(field cause 4:30M)"
expect_equal "and the others finish" "2 1" "$(count finished) $(count failed)"
no_jobs() { [[ -z $(squeue --noheader) ]]; }
expect "the job ends when there has been nothing to do" wait_until 180 no_jobs
# To Slurm a job in which a task died at its own cap is OUT_OF_MEMORY, so its node's word is taken.
expect_match "well" 'leaving, as idle_exit_seconds asks' "$(cat "$CASE"/job-*.log)"
expect_equal "and no node is there any more" "" "$("$PRODUCTS/distcomp" workers --json "${queue[@]}")"
expect_equal "one job was enough" 1 "$(grep -c ': started' "$CASE/scale.log")"
kill "$scaler"

# --- a time limit ---------------------------------------------------------------------------------------------------------------------
# Slurm counts in minutes, and sends the signal up to one earlier than it was asked to.
export HOOK_TIME=2 HOOK_MARGIN=40
scale
submit 'shell:5:50M:1:3600:sleep 3001'
expect "a task runs that would take longer than its job may" wait_until 300 running '^sleep 3001'
job=$(squeue --noheader --format=%i)
has_ended() { scontrol show job "$job" | grep -q 'JobState=\(COMPLETED\|TIMEOUT\|CANCELLED\|FAILED\)'; }
expect "the job ends" wait_until 400 has_ended
expect_match "before its time limit" 'JobState=COMPLETED' "$(scontrol show job "$job")"
expect_equal "the task has not failed" 0 "$(($(count failed) - 1))"
other_job() { [[ $(squeue --noheader --states=RUNNING --format=%i) -gt $job ]]; }
expect "and runs in another job" wait_until 300 other_job
expect "again" wait_until 300 running '^sleep 3001'
kill "$scaler"
"$PRODUCTS/distcomp" cancel "${queue[@]}" '*sleep 3001*' > "$CASE/cancel.log" 2>&1
expect "which ends when the task is cancelled" wait_until 180 no_jobs

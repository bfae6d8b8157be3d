# Groups that a task makes in its own, as root's tasks may: they go with it, at its end and at the next start.
source "$(dirname "$0")/../lib.sh"
start_redis
configure '"max_task_per_worker": 2'
start_daemon

own='g="/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)"; mkdir -p "$g/in/most" "$g/beside";'
submit "shell:9:32M:0:60:$own echo made" \
  "shell:8:32M:0:2:$own trap 'echo tidied' TERM; sh -c \"echo 0 > \$g/in/most/cgroup.procs; exec sleep 7001\" & wait; echo ended" \
  "shell:1:32M:0:60:echo next"
expect "the slots are free again after tasks that made groups" wait_until 60 all_ended
expect_equal "the task that made them is fine" made "$(field stdout 'echo made')"
expect_equal "one whose process hid in one of them ends at its timeout" timeout "$(field cause 'sleep 7001')"
expect "and so does the process" eval '! running "sleep 7001"'
expect_equal "the next task has its slot" next "$(field stdout 'echo next')"

submit "shell:5:32M:0:0:$own sh -c \"echo 0 > \$g/in/most/cgroup.procs; exec sleep 7002\""
await 30 running 'sleep 7002'
kill -9 "$daemon"; wait "$daemon" 2>/dev/null
start_daemon
expect_match "the next life clears what a task made" 'cleared [12] task group' "$(cat "$CASE/daemon.log")"

await 60 running 'sleep 7002'
group=$(group_of 'sleep 7002')
group=${group%/in/most}
kill -9 "$daemon"; wait "$daemon" 2>/dev/null
# What is mounted on cannot be removed.
mkdir -p "$group/held"
mount --bind /tmp "$group/held"
start_daemon
expect_match "what cannot be cleared is a warning, with its name" "stays.*$(basename "$group")" "$(cat "$CASE/daemon.log")"
submit 'shell:1:32M:0:60:echo served'
served() { [[ $(field stdout 'echo served') == served ]]; }
expect "and the node serves on" wait_until 60 served
umount "$group/held"

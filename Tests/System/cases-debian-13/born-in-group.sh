# A task that is born in its group, as the C library allows since glibc 2.39, is what one that joined it is: the cases for those
# run here again.
source "$(dirname "$0")/../lib.sh"
start_redis
configure
start_daemon
expect "tasks are born in their group where the C library can do it" grep -q 'tasks are born in their control group' "$CASE/daemon.log"

submit "shell:5:40M:1:60:cat /proc/self/cgroup; exec sleep 43.5"
group=$(group_of 'sleep 43.5')
expect_match "the task is in its own group" '/distcomp\.[^/]*/tasks/[^/]+$' "$group"
expect_equal "under its cap" $((40 << 20)) "$(cat "$group/memory.max")"
# The file has its name once the task has been running for a second.
has_its_file() { [ -s "$(echo "$CASE"/result/*/stdout)" ]; }
await 60 has_its_file
expect_equal "from its first moment on" "0::${group#/sys/fs/cgroup}" "$(cat "$CASE"/result/*/stdout)"

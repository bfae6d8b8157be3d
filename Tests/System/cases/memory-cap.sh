# The cap on memory, on real cgroup v2 with swap switched on.
source "$(dirname "$0")/../lib.sh"
start_redis
configure '"max_task_per_worker": 4'
start_daemon

submit 'shell:9:50M:0:120:tail /dev/zero' \
  'shell:9:64M:0:120:sleep 3; echo untouched' \
  'shell:5:60M:0:300:cat '"$PRODUCTS"'/distcomp '"$PRODUCTS"'/distcompd | wc -c' \
  'shell:4:60M:0:120:dd if=/dev/zero of=/dev/shm/fill bs=1M count=200; echo rc=$?; rm -f /dev/shm/fill' \
  'shell:3:60M:0:120:sh -c "tail /dev/zero"; echo the parent went on' \
  'shell:2:8M:0:20:while true; do cat '"$PRODUCTS"'/distcomp '"$PRODUCTS"'/distcompd > /dev/null; done'
await 200 all_ended

expect_equal "a task over its cap is killed, and the cause is oom" oom "$(field cause 9:50M)"
expect_match "its reason names the cap and the peak" 'cap 50 MB, peak (49|50)' "$(field reason 9:50M)"
expect_equal "its peak is no more than its cap" yes \
  "$([[ $(field memory_peak_bytes 9:50M) -le $((50 << 20)) ]] && echo yes)"
expect_equal "its sibling is untouched" untouched "$(field stdout 9:64M)"
expect_equal "page cache beyond the cap kills nobody" yes \
  "$([[ $(field stdout 5:60M) -gt $((60 << 20)) ]] && echo yes)"
expect_equal "a tmpfs filled beyond the cap counts against it" oom "$(field cause 4:60M)"
expect_match "and what the memory was is told" 'files in /dev/shm or another tmpfs' "$(field reason 4:60M)"
expect_match "as it is of memory that was allocated" 'peak [0-9.]+ MB: [0-9.]+ MB anonymous' "$(field reason 9:50M)"
expect_match "a timeout tells of a task that was often at its cap" 'timeout \(20 s\); it was at its memory cap [0-9]+ times' \
  "$(field reason 2:8M)"
expect_equal "what it read is not what it needed" yes \
  "$([[ $(field memory_needed_bytes 2:8M) -le $((6 << 20)) ]] && echo yes)"
expect_equal "a child over the cap takes the whole group with it" oom "$(field cause 3:60M)"

# A copy of a launcher that is killed before it could say what it was for.
submit 'shell:9:4K:0:60:true a' 'shell:9:16K:0:60:true b' 'shell:9:100K:0:60:true c' 'shell:1:0:0:60:echo after'
await 60 all_ended
expect_equal "a cap in which nothing can begin is the failure of the tasks that have it" "failed failed" \
  "$(field state 9:4K) $(field state 9:16K)"
expect_equal "and others are begun" after "$(field stdout 'echo after')"

submit "shell:1:40M:0.5:120:exec sleep 41.5"
group=$(group_of 'sleep 41.5')
expect_equal "memory.max is the task's memory" $((40 << 20)) "$(cat "$group/memory.max")"
expect_equal "memory.swap.max is 0" 0 "$(cat "$group/memory.swap.max")"
expect_equal "memory.oom.group is set" 1 "$(cat "$group/memory.oom.group")"
expect_equal "pids.max is max_processes_per_task" 4096 "$(cat "$group/pids.max")"
expect_equal "cpu.weight goes by the cores" 50 "$(cat "$group/cpu.weight")"
parent=$(dirname "$group")
expect_equal "all tasks together are capped below the machine's memory" yes \
  "$([[ $(cat "$parent/memory.max") -lt $(($(awk '/MemTotal/{print $2}' /proc/meminfo) * 1024)) ]] && echo yes)"

pkill -KILL -f 'sleep 41.5'
await 30 all_ended
expect_equal "a SIGKILL from outside is a signal, not oom" "signal 9" \
  "$(field cause 'sleep 41.5') $(field signal 'sleep 41.5')"

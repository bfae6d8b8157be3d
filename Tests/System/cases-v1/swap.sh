# Memory on v1, with swap: what a task left is charged to its group though it was swapped out, so the next task gets another.
source "$(dirname "$0")/../lib.sh"
mkdir -p /run/v1-memory; mountpoint -q /run/v1-memory ||
  mount -t cgroup -o memory none /run/v1-memory
start_redis
configure '"max_task_per_worker": 2'
sed -i 's/"task_user": "root"/"task_user": "nobody"/' "$CASE/conf.json"
start_daemon
expect_match "memory caps are by v1" 'by cgroup v1' "$(cat "$CASE/daemon.log")"

# Of two tasks that begin together the first has the group in which a launch waits, the second one that may be used again.
left=/dev/shm/left-in-swap
submit 'shell:9:64M:0:60:sleep 1' \
  "shell:8:64M:0:60:dd if=/dev/zero of=$left bs=1M count=45 2> /dev/null; while ! test -e $CASE/go; do sleep 0.1; done"
full() { [[ $(stat -c %s "$left" 2>/dev/null) == $((45 << 20)) ]]; }
await 60 full
process=$(pgrep -f "test -e $CASE/go" | head -1)
group=/run/v1-memory$(sed -n 's/^[0-9]*:memory://p' "/proc/$process/cgroup")
swapped_out() {
  echo 0 > "$group/memory.force_empty"
  [[ $(cat "$group/memory.usage_in_bytes") -lt $((1 << 19)) && $(cat "$group/memory.memsw.usage_in_bytes") -gt $((40 << 20)) ]]
}
expect "what it wrote is swapped out" wait_until 60 swapped_out
touch "$CASE/go"
await 90 all_ended
submit "shell:9:64M:0:60:python3 -c \"print('first', len(bytearray(40 << 20)))\"" \
  "shell:8:64M:0:60:python3 -c \"print('second', len(bytearray(40 << 20)))\""
await 90 all_ended
expect_equal "the next tasks have the whole of their caps" "first $((40 << 20)) second $((40 << 20))" \
  "$(field stdout first) $(field stdout second)"
expect_equal "and none fails for want of it" 0 "$(count failed)"
rm -f "$left"

# Memory on v1, with swap: what a task left is charged to its group though it was swapped out, so the next task gets another.
source "$(dirname "$0")/../lib.sh"
mkdir -p /run/v1-memory; mountpoint -q /run/v1-memory ||
  mount -t cgroup -o memory none /run/v1-memory
start_redis
configure '"max_task_per_worker": 1'
sed -i 's/"task_user": "root"/"task_user": "nobody"/' "$CASE/conf.json"
start_daemon
expect_match "memory caps are by v1" 'by cgroup v1' "$(cat "$CASE/daemon.log")"

left=/dev/shm/left-in-swap
submit "shell:9:64M:0:60:dd if=/dev/zero of=$left bs=1M count=45 2> /dev/null; while ! test -e $CASE/go; do sleep 0.1; done" \
  'shell:8:64M:0:60:python3 -c "data = bytearray(40 << 20); print(len(data))"'
full() { [[ $(stat -c %s "$left" 2>/dev/null) == $((45 << 20)) ]]; }
wait_until 60 full || not_ok "the task writes to memory"
process=$(pgrep -f "test -e $CASE/go" | head -1)
group=/run/v1-memory$(sed -n 's/^[0-9]*:memory://p' "/proc/$process/cgroup")
echo 0 > "$group/memory.force_empty"
expect "what it wrote is swapped out" \
  test "$(cat "$group/memory.usage_in_bytes")" -lt $((8 << 20)) -a "$(cat "$group/memory.memsw.usage_in_bytes")" -gt $((40 << 20))
touch "$CASE/go"
wait_until 90 all_ended
expect_equal "the next task has the whole of its cap" $((40 << 20)) "$(field stdout 'bytearray(40')"
expect_equal "and does not fail for want of it" finished "$(field state 'bytearray(40')"
rm -f "$left"

# What tasks leave: what may clean up does, and files that stay in memory are known, told, and no longer offered.
source "$(dirname "$0")/../lib.sh"
available() { awk '/MemAvailable/{print $2}' /proc/meminfo; }
start_redis

# No task is taken when less is available than now, less 450 MB.
enough=$(awk -v kb="$(available)" 'BEGIN{printf "%.3f", kb / 1048576 - 0.45}')
configure "\"max_task_per_worker\": 1, \"min_dram_gb_trigger_return\": 0.02, \"min_dram_gb_accept_new_task\": $enough,
  \"sleep_sec_between_accepting_task\": 1"
start_daemon

cat > "$CASE/segment.py" <<'PYTHON'
import os, sys, time
from multiprocessing import resource_tracker, shared_memory
shared_memory.SharedMemory(name="segment-" + sys.argv[1], create=True, size=1 << 20)
# The tracker, a Python of its own, takes seconds to begin here. What a task leaves is sent TERM, which it ignores by then.
def begun():
    with open(f"/proc/{resource_tracker._resource_tracker._pid}/status") as status:
        return any(line.startswith("SigIgn:") and int(line.split()[1], 16) & 1 << 14 for line in status)
while not begun(): time.sleep(0.1)
if sys.argv[1] == "hangs": time.sleep(1000)
os._exit(int(sys.argv[1] == "fails"))
PYTHON
# Once for all that Python and its tracker read from disk, which takes longer here than a task has for it.
python3 "$CASE/segment.py" first 2> /dev/null
await 60 test ! -e /dev/shm/segment-first
submit "shell:9:0:0:120:python3 $CASE/segment.py exits" "shell:9:0:0:120:python3 $CASE/segment.py fails" \
  "shell:9:0:0:30:python3 $CASE/segment.py hangs"
await 120 all_ended
expect_equal "Python's resource tracker removes what exit 0, exit 1 and a timeout would leave" "exit exit timeout " \
  "$(field cause exits) $(field cause fails) $(field cause hangs) $(ls /dev/shm | grep segment-)"

for number in 1 2 3 4 5 6 7 8; do
  echo "shell:5:200M:0:120:dd if=/dev/zero of=/dev/shm/left$number bs=1M count=100"
done | "$PRODUCTS/distcomp" submit "${queue[@]}" - > /dev/null
stands() { "$PRODUCTS/distcomp" workers --json "${queue[@]}" | grep -q 'left by ended tasks: '; }
expect "a node that stands still because of files in memory says so" wait_until 180 stands
expect_match "workers names the files" '"trouble":"[0-9.]+ [MG]B of files .* left by ended tasks: /dev/shm/left[0-9] \(100 MB\)' \
  "$("$PRODUCTS/distcomp" workers --json "${queue[@]}")"
expect_match "why gives them as the cause" 'in trouble: node: [0-9.]+ [MG]B of files .*/dev/shm/left' \
  "$("$PRODUCTS/distcomp" why "${queue[@]}" '*left*')"
expect_match "the log tells it" 'files in /dev/shm or another tmpfs left by ended tasks: /dev/shm/left' "$(cat "$CASE/daemon.log")"
expect_equal "some of the tasks wait" yes "$([[ $(count todo) -gt 0 ]] && echo yes)"
rm -f /dev/shm/left*
ended_or_removed() { rm -f /dev/shm/left*; all_ended; }
expect "once they are removed it goes on by itself" wait_until 120 ended_or_removed
expect_equal "and nothing has failed for it" 8 "$("$PRODUCTS/distcomp" results --json "${queue[@]}" | grep -c 'dd if.*"state":"finished"')"

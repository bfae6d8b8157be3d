# The machine runs short of memory: the newest task goes back to the queue, the oldest survives.
source "$(dirname "$0")/../lib.sh"
start_redis
available() { awk '/MemAvailable/{print $2}' /proc/meminfo; }
hog() { echo "shell:$1:0:0:0:exec python3 -c \"import time; data = bytearray($2 << 20); open('$CASE/held.$1', 'w'); time.sleep($3)\""; }

# Short is when less is available than now, less 500 MB.
short=$(awk -v kb="$(available)" 'BEGIN{printf "%.3f", kb / 1048576 - 0.5}')
enough=$(awk -v kb="$(available)" 'BEGIN{printf "%.3f", kb / 1048576 - 0.4}')
configure "\"max_task_per_worker\": 2, \"min_dram_gb_trigger_return\": $short, \"min_dram_gb_accept_new_task\": $enough,
  \"sleep_sec_between_accepting_task\": 1"
start_daemon
submit "$(hog 9 200 25)"
await 60 test -e "$CASE/held.9"
submit "$(hog 8 450 1)"
returned() { grep -q 'memory is short' "$CASE/daemon.log"; }
expect "a shortage of memory is noticed" wait_until 60 returned
expect_match "the newest task goes back to the queue" 'goes back to the queue' "$(cat "$CASE/daemon.log")"
expect "the oldest is left running" running 'held.9'
expect_equal "nothing has failed" 0 "$(count failed)"
await 120 all_ended
expect_equal "the oldest finishes" finished "$(field state held.9)"

submit "$(hog 7 700 60)"
await 120 all_ended
expect_equal "alone, it fails" memory-pressure "$(field cause held.7)"
expect_match "and says why" 'requires too much memory here' "$(field reason held.7)"

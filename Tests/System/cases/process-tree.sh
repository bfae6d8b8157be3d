# What a task forks dies with it, whatever it does to escape.
source "$(dirname "$0")/../lib.sh"
start_redis
configure '"max_task_per_worker": 8'
start_daemon

cat > "$CASE/escape.py" <<'PY'
import os, signal, time
# A daemon as daemons do it: a child, a session of its own, a child of that, deaf to TERM.
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execvp("sleep", ["sleep", "7001"])
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stopped = os.fork()
if stopped == 0:
    os.execvp("sleep", ["sleep", "7002"])
os.kill(stopped, signal.SIGSTOP)
while True:
    time.sleep(1)
PY
submit "shell:9:0:0:24:exec python3 $CASE/escape.py" \
  'shell:8:0:0:0:(setsid sleep 7003 &) ; echo parent done' \
  'shell:7:0:0:4:exec sleep 7004'
frozen=$(group_of 'sleep 7004')
echo 1 > "$frozen/cgroup.freeze"
await 60 all_ended

nobody_left() { ! pgrep -f 'sleep 700[1-4]' > /dev/null; }
expect "daemons, stopped and deaf processes die with their timed-out task" wait_until 20 nobody_left
expect_equal "the cause is timeout" timeout "$(field cause escape.py)"
expect_match "TERM is followed by KILL after the grace" '^2[5-9]' "$(field wall_seconds escape.py)"
expect_equal "a frozen group is killed at its deadline as well" timeout "$(field cause 'sleep 7004')"
expect_equal "a task that leaves a process behind still finishes" "parent done" "$(field stdout 'sleep 7003')"
expect_equal "no group is left" "" "$(groups)"

configure '"max_processes_per_task": 64, "cpu_limit": "hard"'
kill "$daemon"; wait "$daemon" 2>/dev/null
start_daemon
submit 'shell:9:200M:0:5:b() { b | b & b; }; b' 'shell:1:0:0:60:echo still serving'
await 120 all_ended
expect_equal "a fork bomb meets its limit and ends" failed "$(field state 'b | b')"
expect_equal "the node goes on" "still serving" "$(field stdout 'still serving')"

submit 'shell:9:0:0.5:60:exec sleep 7005'
limited=$(group_of 'sleep 7005')
expect_equal "cpu_limit hard allows no more than the cores asked for" "50000 100000" "$(cat "$limited/cpu.max")"
pkill -f 'sleep 7005'
await 30 all_ended

# A node's life under systemd: told what it does, restarted, killed, hung, stopped, with tasks that run meanwhile.
source "$(dirname "$0")/../lib-systemd.sh"
start_redis
expect "the package installs" install "$package"
set_up '"log_level": "debug", "stop_grace_seconds": 0'
expect "the unit starts, and says when it is ready" systemctl restart distcompd
expect_match "it nests below the unit's own group" 'distcompd.service/distcomp\.[^/]*/supervisor' \
  "$(cat "/proc/$(main_process)/cgroup")"
submit 'shell:5:0:0:0:sleep 6001'
expect "systemctl status tells what it does" wait_until 60 says '1 running, 0 done, '

# --- restarted ------------------------------------------------------------------------------------------------------------------
# A task that should ever run twice at once finds its lock taken.
shared=$CASE/shared
mkdir --mode 777 "$shared"
for round in {1..10}; do
  submit "shell:5:0:0:60:flock --nonblock $shared/lock.$round sleep 4 || echo $round >> $shared/doubled" \
    "shell:5:0:0:60:echo short $round"
  systemctl restart distcompd || not_ok "restart $round"
done
submit 'shell:9:0:0:60:echo last'
expect "after ten restarts every task has finished" wait_until 180 only_the_sleeper
expect_equal "and none has failed" "21 0" "$(count finished) $(count failed)"
expect_equal "none ran twice at once" "" "$(cat "$shared/doubled" 2> /dev/null)"
journal CAUSE=exit EXIT_CODE=0 | python3 -c '
import collections, json, sys
ends = collections.Counter(json.loads(line)["TASK"] for line in sys.stdin)
print(len(ends), max(ends.values()))' > "$CASE/ends"
expect_equal "each ended once" "21 1" "$(cat "$CASE/ends")"

# --- killed, and hung -----------------------------------------------------------------------------------------------------------
expect "a task runs" wait_until 60 running '^sleep 6001'
restarts=$(property NRestarts)
kill -9 "$(main_process)"
restarted() { [[ $(property NRestarts) -gt $restarts ]] && is_active; }
expect "killed, the node is started again" wait_until 90 restarted
expect "and its task runs again" wait_until 60 running '^sleep 6001'
expect_equal "once" 1 "$(pgrep -fc '^sleep 6001')"

drop_in WatchdogSec=20 "ExecStopPost=/bin/sh -c 'echo \$\$SERVICE_RESULT > $CASE/result'"
systemctl restart distcompd
restarts=$(property NRestarts)
seen=$(property WatchdogTimestampMonotonic)
gave_another_sign() { [[ $(property WatchdogTimestampMonotonic) != "$seen" ]]; }
expect "a node with nothing to do gives a sign of life within the watchdog's time" wait_until 20 gave_another_sign
seen=$(property WatchdogTimestampMonotonic)
expect "and again" wait_until 20 gave_another_sign
expect "a task runs" wait_until 60 running '^sleep 6001'
kill -STOP "$(main_process)"
# The watchdog's 20 s, 90 more for a process that cannot hear SIGABRT, and a start.
expect "hung, it is ended and started again" wait_until 300 restarted
expect_equal "for the watchdog's sake" watchdog "$(cat "$CASE/result")"
expect "its task runs again" wait_until 60 running '^sleep 6001'
expect_equal "once" 1 "$(pgrep -fc '^sleep 6001')"

# --- stopped ----------------------------------------------------------------------------------------------------------------------
drop_in TimeoutStopSec=2
set_up '"stop_grace_seconds": 6'
systemctl restart distcompd
submit "shell:5:0:0:0:sleep 4; echo in time"
expect "a task runs that ends within the grace" wait_until 60 running '^sleep 4$'
expect "the node stops" systemctl stop distcompd
expect_equal "in order, though its settings ask for more time than the unit allows" success "$(property Result)"
expect_equal "a task that ended within the grace has finished" "in time" "$(field stdout 'in time')"
expect_equal "the other is back in todo" "1 0" "$(count todo) $(count in_progress)"
expect_equal "and no process of it is left" 0 "$(pgrep -fc '^sleep 6001')"

# --- with nothing to do, and sent home ------------------------------------------------------------------------------------------------
redis-cli flushall > /dev/null
set_up '"idle_exit_seconds": 3'
has_ended() { [[ $(property ActiveState) == inactive && $(property SubState) == dead ]]; }
expect "a node that goes when it has nothing to do starts" systemctl start distcompd
expect "and ends by itself" wait_until 120 has_ended
expect_equal "well" "success 0" "$(property Result) $(property ExecMainStatus)"
# It would have been started again after 5 s.
sleep 12
expect "and is not brought back" has_ended
set_up ''
systemctl start distcompd
restarts=$(property NRestarts)
"$PRODUCTS/distcomp" stop-workers --quiet "${queue[@]}"
sent_home() { [[ $(property NRestarts) -gt $restarts ]]; }
expect "one that was sent home comes again" wait_until 120 sent_home
"$PRODUCTS/distcomp" stop-workers --undo --quiet "${queue[@]}"
submit 'shell:1:0:0:60:echo back'
has_finished() { [[ $(count finished) == 1 ]]; }
expect "and works when that is taken back" wait_until 120 has_finished
expect "it stops" systemctl stop distcompd

cd "$CASE" || exit
# Not the example: what that looks at is more files than the program that serves ours may keep open on some machines.
printf '%s\n' 'shell:3:0:0:2:sleep 60' 'shell:2:0:0:60:exit 3' 'shell:1:64M:0:60:tail /dev/zero' 'shell:1:0:0:60:true' > tasks
"$PRODUCTS/distcomp" run tasks --state run --quiet > "$CASE/run.log" 2>&1
expect_match "distcomp run has a delegated scope, and so caps that hold" '3 failed \(1 exit, 1 oom, 1 timeout\)' "$(cat "$CASE/run.log")"
expect_equal "no control group of a run is left" "" "$(find /sys/fs/cgroup -name 'distcomp.*' -type d)"

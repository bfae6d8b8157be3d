# kill -9 of the daemon: what it ran is found, cleared, and run again, once.
source "$(dirname "$0")/../lib.sh"
start_redis
configure
start_daemon
submit "shell:5:32M:0:0:echo run >> $CASE/trace; exec sleep 8001"
group=$(group_of 'sleep 8001')
kill -9 "$daemon"; wait "$daemon" 2>/dev/null
expect "its task goes on without it" running 'sleep 8001'
start_daemon
expect_match "the next life clears what it left" 'cleared [12] task group' "$(cat "$CASE/daemon.log")"
expect "the task runs again at once" wait_until 60 test "$(wc -l < "$CASE/trace")" -ge 1
await 60 sh -c "[ \$(wc -l < $CASE/trace) = 2 ]"
expect_equal "and once only at a time" 1 "$(pgrep -fc 'sleep 8001')"
expect "the old group is gone" test ! -e "$group"

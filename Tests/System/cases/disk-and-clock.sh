# A full disk under the output, and a clock that is set while tasks run.
source "$(dirname "$0")/../lib.sh"
start_redis
mkdir "$CASE/result"
mount -t tmpfs -o size=2M tmpfs "$CASE/result"
configure
start_daemon
submit 'shell:9:0:0:60:head -c 8M /dev/zero | cat'
await 60 all_ended
expect_equal "a task that fills the disk fails" failed "$(field state 'head -c 8M')"
expect_match "and its reason says so" 'disk under result_dir is full' "$(field reason 'head -c 8M')"
find "$CASE/result" -name stdout -size +1M -delete

submit 'shell:8:0:0:20:exec sleep 9001' 'shell:8:0:0:0:sleep 22; echo slept'
await 60 running 'sleep 9001'
date -s '+3 hours' > /dev/null
sleep 1
expect "setting the clock forward ends no task early" running 'sleep 9001'
date -s '-6 hours' > /dev/null
await 120 all_ended
expect_equal "and setting it back none late" timeout "$(field cause 'sleep 9001')"
expect_match "the task ran for its timeout" '^20\.' "$(field wall_seconds 'sleep 9001')"
expect_equal "the daemon serves on" slept "$(field stdout slept)"
kill "$daemon"; wait "$daemon" 2>/dev/null
umount "$CASE/result"

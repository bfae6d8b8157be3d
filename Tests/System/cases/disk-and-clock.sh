# A full disk under the output, a clock that is set while tasks run, and a kernel that watches nothing more.
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
# What wakes the daemon for the queue's socket is the kernel's watch on it, of which each user has so many.
watches=$(cat /proc/sys/fs/epoll/max_user_watches)
exec 7<> /dev/tcp/127.0.0.1/7000
submit 'shell:8:0:0:60:sleep 9; echo unwatched'
await 60 running 'sleep 9;'
echo 0 > /proc/sys/fs/epoll/max_user_watches
printf 'CLIENT KILL TYPE pubsub\r\nCLIENT KILL TYPE normal SKIPME yes\r\n' >&7
await 60 grep -q 'epoll_ctl.*No space left on device.*retrying' "$CASE/daemon.log"
echo "$watches" > /proc/sys/fs/epoll/max_user_watches
exec 7>&-
await 60 all_ended
expect_equal "a connection that the kernel does not watch is lost as any other" unwatched "$(field stdout unwatched)"
expect "and the daemon, which has gone on with its tasks, is the same" kill -0 "$daemon"
kill "$daemon"; wait "$daemon" 2>/dev/null
umount "$CASE/result"

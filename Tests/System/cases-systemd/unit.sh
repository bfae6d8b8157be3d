# The unit as it is shipped, under real systemd, and `distcomp run` from a group that is shared with its shell.
source "$(dirname "$0")/../lib.sh"
redis=redis://127.0.0.1:6379
useradd --system distcomp 2>/dev/null
mkdir -p /etc/distcomp /etc/systemd/system/distcompd.service.d
cp "$(dirname "$0")/../../../conf.json" /etc/distcomp/
cp "$(dirname "$0")/../../../systemd/distcompd.service" /etc/systemd/system/
printf '[Service]\nExecStart=\nExecStart=%s --config /etc/distcomp/conf.json\n' "$PRODUCTS/distcompd" \
  > /etc/systemd/system/distcompd.service.d/products.conf
redis-server --port 6379 --save "" --dir "$CASE" > "$CASE/redis.log" 2>&1 &
started+=($!)
wait_until 30 redis-cli ping > /dev/null 2>&1
systemctl daemon-reload

expect "the unit starts, and says when it is ready" systemctl start distcompd
expect_match "it nests below the unit's own group" 'distcompd.service/distcomp\.[^/]*/supervisor' \
  "$(cat "/proc/$(systemctl show -P MainPID distcompd)/cgroup")"
submit 'shell:5:40M:0:60:tail /dev/zero' 'shell:4:0:0:60:id -un'
wait_until 120 all_ended
expect_equal "a cap holds there" oom "$(field cause tail)"
expect_equal "tasks run as the system user distcomp" distcomp "$(field stdout 'id -un')"

submit 'shell:5:0:0:0:sleep 6001'
wait_until 30 running 'sleep 6001'
says_what_it_does() { [[ $(systemctl show -P StatusText distcompd) == "1 running, 1 done, "* ]]; }
expect "systemctl status tells what it does" wait_until 60 says_what_it_does
kill -9 "$(systemctl show -P MainPID distcompd)"
restarted() { [[ $(systemctl show -P NRestarts distcompd) == 1 && $(systemctl is-active distcompd) == active ]]; }
expect "killed, it is started again" wait_until 60 restarted
expect "and its task runs again" wait_until 60 running 'sleep 6001'
expect_equal "once" 1 "$(pgrep -fc 'sleep 6001')"
expect "it stops within its bound" systemctl stop distcompd
expect_equal "the task is back in todo" "1 0" "$(count todo) $(count in_progress)"
expect_equal "the unit ended well" success "$(systemctl show -P Result distcompd)"

cd "$CASE" || exit
"$PRODUCTS/distcomp" run "$(dirname "$0")/../../../example/task_with_timeout" --state run --quiet > "$CASE/run.log" 2>&1
expect_match "distcomp run has a delegated scope, and so caps that hold" '3 failed \(1 exit, 1 oom, 1 timeout\)' "$(cat "$CASE/run.log")"
expect_equal "no control group of a run is left" "" "$(find /sys/fs/cgroup -name 'distcomp.*' -type d)"

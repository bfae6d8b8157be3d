# How the daemon takes its place in the control group tree, and what it says when it cannot.
source "$(dirname "$0")/../lib.sh"
start_redis
configure
tree=/sys/fs/cgroup

# In a group that was delegated to it.
mkdir "$tree/service"
echo '+memory +pids +cpu' > "$tree/cgroup.subtree_control"
start_daemon sh -c "echo 0 > $tree/service/cgroup.procs; exec \"\$@\"" sh
own=$(sed -n 's/^0:://p' "/proc/$daemon/cgroup")
expect_match "the daemon moves itself into supervisor/" '^/service/distcomp\.node\.[0-9a-f]+/supervisor$' "$own"
root=$tree$(dirname "$own")
for group in "$root" "$root/tasks" "$root/supervisor"; do
  expect_equal "$(basename "$group") stays a domain" domain "$(cat "$group/cgroup.type")"
done
expect_match "memory, pids and cpu are handed down to tasks" 'cpu memory pids|cpu io memory pids' "$(cat "$root/tasks/cgroup.controllers")"
submit 'shell:5:30M:0:60:tail /dev/zero'
await 60 all_ended
expect_equal "the cap holds there" oom "$(field cause 5:30M)"
kill "$daemon"; wait "$daemon" 2>/dev/null
rmdir "$root"/* "$root" 2>/dev/null

refused() { ( "$@" "$PRODUCTS/distcompd" --config "$CASE/conf.json" --state "$CASE/open" 2>&1; echo "status $?" ); }

# By an ordinary user, in a group that is not his; root finds a place of his own, see hosts.sh.
sed -i 's/"task_user": "root"/"task_user": null/' "$CASE/conf.json"
mkdir --mode 777 "$CASE/open"
chmod 777 "$CASE/result"
mkdir "$tree/shared"
said=$(refused sh -c "echo 0 > $tree/shared/cgroup.procs; exec setpriv --reuid=nobody --regid=nogroup --clear-groups \"\$@\"" sh)
expect_match "a group of another is refused by naming file and error" 'mkdir /sys/fs/cgroup/shared/distcomp.node.*: Permission denied' "$said"
expect_match "and the remedy" 'Delegate=yes' "$said"
expect_match "with the status of a wrong configuration" 'status 2' "$said"
expect_equal "and nothing is left in it" "" "$(find "$tree/shared" -mindepth 1 -type d)"

# In a group that is shared with another process, though it is his.
chown -R nobody "$tree/shared"
sleep 500 & other=$!
started+=("$other")
echo "$other" > "$tree/shared/cgroup.procs"
said=$(refused sh -c "echo 0 > $tree/shared/cgroup.procs; exec setpriv --reuid=nobody --regid=nogroup --clear-groups \"\$@\"" sh)
expect_match "a shared group is refused by naming file and error" 'shared/cgroup.subtree_control: Device or resource busy' "$said"
expect_equal "and nothing is left in it" "" "$(find "$tree/shared" -mindepth 1 -type d)"

# In a group whose parent hands no memory controller down.
mkdir "$tree/poor" "$tree/poor/inner"
echo '+pids' > "$tree/poor/cgroup.subtree_control"
said=$(refused sh -c "echo 0 > $tree/poor/inner/cgroup.procs; exec setpriv --reuid=nobody --regid=nogroup --clear-groups \"\$@\"" sh)
expect_match "a missing memory controller is refused at the start" 'poor/inner/cgroup.controllers lists no memory controller' "$said"
expect_match "with its remedy" 'Delegate=yes' "$said"
kill "$other"; wait "$other" 2>/dev/null

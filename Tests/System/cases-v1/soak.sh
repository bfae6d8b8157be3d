# The soak of the other cases where memory is on v1 and the tasks are not root's: there groups are used again.
mkdir -p /run/v1-memory; mountpoint -q /run/v1-memory ||
  mount -t cgroup -o memory none /run/v1-memory
modprobe loop && modprobe ext4
head -c 128M /dev/zero > "$CASE/disk"  # Its memory is taken before anything is measured.
mkfs.ext4 -q -F -N 20000 "$CASE/disk"
mkdir "$CASE/result"
mount -o loop "$CASE/disk" "$CASE/result" || { echo "not ok - a disk for the output"; exit; }
chmod 755 "$CASE/result"
"$(dirname "$0")/../soak" --products "$PRODUCTS" --tasks 300 --margin 48 --standstill 120 --user nobody --result-dir "$CASE/result"
umount "$CASE/result"

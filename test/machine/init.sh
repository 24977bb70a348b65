# Process 1 of the machine. $1 is an empty directory for its layers, $2 the
# root file system to lay over, $3 what to become: "plain" or "systemd".
# Descriptor 3 is told when the mounts are done.
dir=$1 lower=$2 kind=$3
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
root=$dir/root
cd "$lower"
mount -t overlay overlay -o "lowerdir=.,upperdir=$dir/upper,workdir=$dir/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
[ "$kind" != systemd ] || mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
hostname machine
ip link set lo up
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
cd /
echo ready >&3
exec 3>&- </dev/null
if [ "$kind" = systemd ]; then
  exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=0
fi
# as process 1, bash takes in the orphans
while :; do sleep 3600 & wait $!; done

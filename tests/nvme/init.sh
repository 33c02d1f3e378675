#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The first process of the virtual machine of run.py: makes the devices, runs each suite, says how it ended, and turns the machine off.
/bin/busybox --install -s /bin
export PATH=/bin TARN_TEST_DIR=/tmp CMOCKA_MESSAGE_OUTPUT=TAP

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
ln -sf /proc/self/fd /dev/fd
echo 1 >/proc/sys/kernel/printk

for module in /modules/*; do
	case $module in
	*null_blk*) insmod "$module" nr_devices=0 ;;
	*) insmod "$module" ;;
	esac
done
mount -t configfs config /sys/kernel/config

# A null_blk device that keeps what is written: name, then what differs from the default.
null_blk() {
	dir=/sys/kernel/config/nullb/$1
	shift
	mkdir "$dir"
	for setting in "$@" memory_backed=1 size=64 power=1; do
		echo "${setting#*=}" >"$dir/${setting%%=*}"
	done
}
null_blk nullb0 blocksize=4096 discard=1
null_blk nullb1 blocksize=4096 zoned=1 zone_size=4 zone_capacity=3 zone_max_open=4 zone_max_active=6
null_blk nullb2 blocksize=4096 zoned=1 zone_size=4 zone_capacity=3 zone_max_open=4 zone_max_active=6 zone_nr_conv=2

# The kernel looks for NVMe in the background.
wait_for() {
	for node in "$@"; do
		tries=0
		while [ ! -e "/dev/$node" ] && [ $tries -lt 60 ]; do
			sleep 1
			tries=$((tries + 1))
		done
	done
}

# suite NAME PROGRAM [NAME=VALUE...]
suite() {
	name=$1 program=$2
	shift 2
	echo "==== begin $name"
	(cd /tmp && exec timeout -s KILL "${SUITE_SECONDS:-600}" env "$@" "/tests/$program") 2>&1
	echo "==== end $name $?"
}

echo # the firmware leaves the cursor in a line of its own
# shellcheck source=/dev/null
. /tests/suites
echo "==== the end"
poweroff -f

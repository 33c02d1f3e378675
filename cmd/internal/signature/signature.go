// SPDX-License-Identifier: Apache-2.0

// Package signature says what is on a device, from its first bytes, so that a user who is asked for leave to overwrite it knows what
// would be lost. It knows what is common on Linux; what it does not know it calls data it does not know.
package signature

import (
	"bytes"
	"errors"
	"io"
)

// Pool is what What says of a device that holds a Tarn pool.
const Pool = "a Tarn pool"

// Nothing is what What says of a device whose first bytes are all zero.
const Nothing = "nothing but zeros in the first 128 KiB"

const (
	looked  = 128 << 10
	unknown = "data of an unknown kind"
)

// marks are in the order in which they are looked for: what stands inside of a partition or volume comes before what holds those.
var marks = []struct {
	offset int
	text   string
	what   string
}{
	{0, "TARNPOOL", Pool},
	{4096, "TARNPOOL", Pool}, // the second superblock, when the first is damaged
	{0x438, "\x53\xef", "an ext2, ext3 or ext4 file system"},
	{0, "XFSB", "an XFS file system"},
	{0x10040, "_BHRfS_M", "a btrfs file system"},
	{0x400, "\x10\x20\xf5\xf2", "an F2FS file system"},
	{0, "hsqs", "a squashfs file system"},
	{3, "NTFS    ", "an NTFS file system"},
	{3, "EXFAT   ", "an exFAT file system"},
	{82, "FAT32   ", "a FAT file system"},
	{54, "FAT1", "a FAT file system"},
	{0x8001, "CD001", "an ISO 9660 file system"},
	{4086, "SWAPSPACE2", "swap space"},
	{0, "LUKS\xba\xbe", "a LUKS volume"},
	{512, "LABELONE", "an LVM volume"},
	{4096, "\xfc\x4e\x2b\xa9", "a member of a RAID array"},
	{0, "bluestore block device", "a Ceph OSD"},
	{512, "EFI PART", "a partition table (GPT)"},
	{4096, "EFI PART", "a partition table (GPT)"},
	{510, "\x55\xaa", "a partition table (MBR) or a boot sector"},
}

// What names what the first bytes of a device of that size show.
func What(r io.ReaderAt, size uint64) (string, error) {
	head := make([]byte, min(size, looked))
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = head[:n]
	for _, m := range marks {
		if m.offset < len(head) && bytes.HasPrefix(head[m.offset:], []byte(m.text)) {
			return m.what, nil
		}
	}
	if len(bytes.TrimLeft(head, "\x00")) == 0 {
		return Nothing, nil
	}
	return unknown, nil
}

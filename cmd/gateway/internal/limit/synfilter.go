// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// synFilter lets the kernel drop the SYNs of some addresses for a listening socket, by a filter of that (SO_ATTACH_FILTER, socket(7)): nothing
// wakes up for such a connection. Its client is not told; its kernel tries again after 1 s, 3 s and so on (tcp_syn_retries, tcp(7)).
type synFilter struct{ socket syscall.RawConn }

// synFilterMost is how many addresses one has. Of IPv6 each takes five instructions, and the kernel looks at them one by one.
const synFilterMost = 64

// The offsets are those of RFC 9293, 791 and 8200. Packets of a TCP socket begin with the header of TCP.
const (
	tcpFlags, flagSYN, flagACK = 13, 0x02, 0x10
	netHeader                  = 0xfff00000 // SKF_NET_OFF: the header of IP
	ip4Source, ip6Source       = 12, 8
	packetAll                  = 0xffffffff
)

// drop sets the addresses, of IPv6 whole networks of 64 bits. None: the socket has no filter.
func (f synFilter) drop(addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return f.set(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
	}
	program, err := bpf.Assemble(synProgram(addrs))
	if err != nil {
		return err
	}
	raw := make([]unix.SockFilter, len(program))
	for i, p := range program {
		raw[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	return f.set(func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]})
	})
}

func (f synFilter) set(option func(fd int) error) (err error) {
	if e := f.socket.Control(func(fd uintptr) { err = option(int(fd)) }); e != nil {
		return e
	}
	return err
}

// synProgram drops the SYNs of those addresses. Connections that are accepted meanwhile have the filter too, and their packets pass.
func synProgram(addrs []netip.Addr) []bpf.Instruction {
	var of4, of6 []bpf.Instruction
	for _, addr := range addrs {
		if addr.Is4() {
			source := addr.As4()
			of4 = append(of4,
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(source[:]), SkipTrue: 1},
				bpf.RetConstant{Val: 0})
			continue
		}
		source := addr.As16()
		of6 = append(of6,
			bpf.LoadAbsolute{Off: netHeader + ip6Source, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(source[:]), SkipTrue: 3},
			bpf.LoadAbsolute{Off: netHeader + ip6Source + 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(source[4:]), SkipTrue: 1},
			bpf.RetConstant{Val: 0})
	}
	pass := bpf.RetConstant{Val: packetAll}
	of4 = slices.Concat([]bpf.Instruction{bpf.LoadAbsolute{Off: netHeader + ip4Source, Size: 4}}, of4, []bpf.Instruction{pass})
	return slices.Concat([]bpf.Instruction{
		bpf.LoadAbsolute{Off: tcpFlags, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: flagSYN | flagACK},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: flagSYN, SkipTrue: 1},
		pass,
		bpf.LoadAbsolute{Off: netHeader, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4, SkipTrue: 1},
		bpf.Jump{Skip: uint32(len(of4))},
	}, of4, of6, []bpf.Instruction{pass})
}

// ListenTCP listens on a TCP address, so that the kernel takes a filter. With MPTCP, which Go takes for servers, it takes none. Its errors are those of
// net.Listen.
func ListenTCP(addr string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), "tcp", addr)
}

// filterOf is a filter for a listener, if that is one of TCP.
func filterOf(l net.Listener) (synFilter, bool) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return synFilter{}, false
	}
	socket, err := tcp.SyscallConn()
	return synFilter{socket}, err == nil
}

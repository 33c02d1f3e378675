// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// redis is one server whose append-only file is synced before an answer.
type redis struct {
	*process
	addr  string
	conns []net.Conn
}

func openRedis(ctx context.Context, r *run) (peer, error) {
	p, ports, err := r.launch("redis-server", "redis-server", 1, func(dir string, ports []int) []string {
		return []string{"--port", strconv.Itoa(ports[0]), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes",
			"--appendfsync", "always", "--daemonize", "no"}
	})
	if err != nil {
		return nil, err
	}
	s := &redis{process: p, addr: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	return s, p.answers(ctx, func(ctx context.Context) error {
		c, err := s.open()
		if err == nil {
			_, err = c.ask([]byte("PING"))
		}
		return err
	})
}

func (s *redis) name() string     { return "redis" }
func (s *redis) serverOf() server { return s.process }

func (s *redis) end() (err error) {
	for _, c := range s.conns {
		err = errors.Join(err, c.Close())
	}
	return errors.Join(err, s.process.end())
}

// redisConn is a connection of one goroutine.
type redisConn struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

// open is called before goroutines use their connections.
func (s *redis) open() (*redisConn, error) {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	s.conns = append(s.conns, conn)
	return &redisConn{conn: conn, r: bufio.NewReader(conn)}, nil
}

// ask sends a command and returns its answer, which is valid until the next.
func (c *redisConn) ask(words ...[]byte) ([]byte, error) {
	c.buf = fmt.Appendf(c.buf[:0], "*%d\r\n", len(words))
	for _, word := range words {
		c.buf = append(strconv.AppendInt(append(c.buf, '$'), int64(len(word)), 10), "\r\n"...)
		c.buf = append(append(c.buf, word...), "\r\n"...)
	}
	if _, err := c.conn.Write(c.buf); err != nil {
		return nil, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	line = bytes.TrimSuffix(line, []byte("\r\n"))
	switch {
	case len(line) == 0 || line[0] == '-':
		return nil, fmt.Errorf("redis answered %q", line)
	case line[0] != '$':
		return line[1:], nil
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("redis answered %q", line)
	}
	c.buf = append(c.buf[:0], make([]byte, n+2)...)
	_, err = io.ReadFull(c.r, c.buf)
	return c.buf[:n], err
}

// ask is a call that asks what words says.
func (s *redis) ask(words func() [][]byte, check func([]byte) bool) call {
	c, err := s.open()
	return func(context.Context) error {
		if err != nil {
			return err
		}
		answer, err := c.ask(words()...)
		if err == nil && !check(answer) {
			err = fmt.Errorf("redis answered %.40q", answer)
		}
		return err
	}
}

func isOK(answer []byte) bool { return string(answer) == "OK" }

func (s *redis) get(d *data) call {
	return s.ask(func() [][]byte { return [][]byte{[]byte("GET"), d.key()} }, func(b []byte) bool { return len(b) == len(d.val) })
}

func (s *redis) put(d *data) call {
	return s.ask(func() [][]byte { return [][]byte{[]byte("SET"), d.key(), d.val} }, isOK)
}

func (s *redis) batch(d *data) call {
	return s.ask(func() [][]byte {
		words := [][]byte{[]byte("MSET")}
		for _, key := range d.some(batchKeys) {
			words = append(words, key, d.val)
		}
		return words
	}, isOK)
}

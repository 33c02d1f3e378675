// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// Handshakes are attacks on a gateway that has TLS: whoever can connect can make them. For those that stay there are hundreds of connections at
// once, and those that leave come again at once.
var Handshakes = []Attack{
	{Name: "hello and leave", Bare: true, Mute: true, Run: func(a *Attacker) { a.write(hello()) }},
	{Name: "hello and stay", Bare: true, Mute: true, Many: 100, Run: func(a *Attacker) {
		a.write(hello())
		a.Wait()
	}},
	{Name: "half a hello", Bare: true, Mute: true, Many: 100, Run: func(a *Attacker) {
		a.write(hello()[:len(hello())/2])
		a.Wait()
	}},
	{Name: "handshake and leave", Bare: true, Mute: true, Run: func(a *Attacker) { a.Did(tls.Client(a.Conn, anyServer()).Handshake()) }},
	{Name: "no TLS", Bare: true, Mute: true, Run: func(a *Attacker) { a.write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) }},
}

func (a *Attacker) write(b []byte) {
	_, err := a.out.Write(b)
	a.Did(err)
	a.Flush()
}

func anyServer() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
}

// hello is what a client of TLS sends first.
var hello = sync.OnceValue(func() []byte {
	const head = 5 // of a record: a type, a version, a length
	here, there := net.Pipe()
	defer there.Close()
	go func() {
		_ = tls.Client(here, anyServer()).Handshake() // ends when the other side is closed
		_ = here.Close()                              // of a pipe
	}()
	record := make([]byte, head, 4096)
	if _, err := io.ReadFull(there, record); err != nil {
		panic(err) // of a pipe
	}
	record = append(record, make([]byte, int(record[3])<<8|int(record[4]))...)
	if _, err := io.ReadFull(there, record[head:]); err != nil {
		panic(err)
	}
	return record
})

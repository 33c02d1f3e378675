// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// sent is a client's frames, and what grpc is to see of them.
type sent struct {
	out, seen bytes.Buffer
	hp        *hpack.Encoder
	block     bytes.Buffer
}

func newSent() *sent {
	s := &sent{}
	s.hp = hpack.NewEncoder(&s.block)
	s.both([]byte(http2.ClientPreface))
	return s
}

func (s *sent) both(b []byte) {
	s.out.Write(b)
	s.seen.Write(b)
}

// call is a call with a message; early: it is refused before grpc sees it.
func (s *sent) call(id uint32, n int, early bool, fields ...hpack.HeaderField) {
	s.block.Reset()
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/x"}}, fields...) {
		_ = s.hp.WriteField(f) // of a bytes.Buffer
	}
	var b bytes.Buffer
	fr := http2.NewFramer(&b, nil)
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.block.Bytes(), EndHeaders: true})
	_ = fr.WriteData(id, true, make([]byte, n))
	s.out.Write(b.Bytes())
	if !early {
		s.seen.Write(b.Bytes())
	}
}

func (s *sent) ping() {
	var b bytes.Buffer
	_ = http2.NewFramer(&b, nil).WritePing(false, [8]byte{})
	s.both(b.Bytes())
}

// answers are the frames that a client gets, in a few words each.
func answers(t *testing.T, r io.Reader) (all []string) {
	t.Helper()
	fr := http2.NewFramer(io.Discard, r)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return all
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			all = append(all, fmt.Sprint(f.StreamID, " status ", f.RegularFields()[1].Value, " end ", f.StreamEnded()))
		case *http2.RSTStreamFrame:
			all = append(all, fmt.Sprint(f.StreamID, " reset ", f.ErrCode))
		case *http2.WindowUpdateFrame:
			all = append(all, fmt.Sprint("window ", f.StreamID, " ", f.Increment))
		default:
			all = append(all, f.Header().Type.String())
		}
	}
}

// TestEarly: of calls that are like one that was refused, byte for byte, grpc sees nothing while the gate is full, and everything else as it
// was sent, however the bytes are cut; each has its answer, and the window gets back what was not seen.
func TestEarly(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(50) {
		cuts, reads := rand.New(rand.NewPCG(seed, 2*round)), rand.New(rand.NewPCG(seed, 2*round+1))
		s, same := newSent(), hpack.HeaderField{Name: "a", Value: "1"}
		s.call(1, 10, false, same) // adds to the table
		s.call(3, 10, false, same) // refused, and begins it
		s.call(5, 10, false, same) // is learned
		s.call(7, 20000, true, same)
		s.ping()
		s.call(9, 20000, true, same)
		s.call(11, 10, false, hpack.HeaderField{Name: "b", Value: "2"}) // changes the table
		s.call(13, 10, false, same)                                     // its bytes are others now, and it is learned
		s.call(15, 10, true, same)
		g := NewGate(0, 0)
		inner, client := net.Pipe()
		c := newConn(inner, "", &origin{}, &Conns{})
		out := s.out.Bytes()
		go func() {
			for at := 0; at < len(out); {
				n := min(1+cuts.IntN(4000), len(out)-at)
				_, _ = client.Write(out[at : at+n]) // fails when the test has
				at += n
			}
		}()
		told := make(chan []string)
		go func() { told <- answers(t, client) }()
		last := c.tapped(t, g, &s.seen, reads.IntN)
		_ = inner.Close() // of a pipe
		<-last
		refusal := func(id int) []string {
			return []string{fmt.Sprint(id, " status 8 end true"), fmt.Sprint(id, " reset NO_ERROR")}
		}
		want := append(append(refusal(7), refusal(9)...), refusal(15)...)
		var got []string
		windows := 0
		for _, a := range <-told {
			var n int
			if k, _ := fmt.Sscanf(a, "window 0 %d", &n); k == 1 {
				windows += n
				continue
			}
			got = append(got, a)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || windows != 40000 && windows != 40010 || len(c.early.mine) != 0 {
			t.Fatalf("the client got %q and a window of %d, want %q; %d calls have not ended", got, windows, want, len(c.early.mine))
		}
		if g.State().Refused != 4+3 { // by the tap, and before it
			t.Errorf("%d calls count as refused", g.State().Refused)
		}
	}
}

// tapped reads as grpc does, which asks the tap when the headers of a call have come, and refuses those behind the first. Its last read ends
// with the connection.
func (c *Conn) tapped(t *testing.T, g *Gate, want *bytes.Buffer, intn func(int) int) (last <-chan struct{}) {
	t.Helper()
	var seen bytes.Buffer
	who, calls := Caller{Key: "a", Weight: 4, Conn: c}, 0
	for seen.Len() < want.Len() {
		p := make([]byte, 1+intn(5000))
		if c.early == nil {
			p = p[:1] // what comes with the call that begins it is grpc's, too
		}
		n, err := c.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(p[:n])
		c.owed.Store(0)
		for range c.opened {
			c.refused()
			if calls++; calls > 1 && g.enter(who, 1) == nil {
				c.learn(g, who, 1)
			}
		}
	}
	if !bytes.Equal(seen.Bytes(), want.Bytes()) {
		t.Fatal("grpc did not see what was sent for it")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Read(make([]byte, 1)) // the rest is refused
	}()
	for deadline := time.Now().Add(10 * time.Second); c.soon.Load() < 3 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	time.Sleep(20 * time.Millisecond) // its message
	return done
}

// TestEarlyHasRoom: when the gate has room a call goes on to grpc, like what was refused or not; and so does one of another caller.
func TestEarlyHasRoom(t *testing.T) {
	g := NewGate(2, 100)
	who := Caller{Key: "a", Weight: 4}
	held := g.enter(who, 1)
	e := &early{refused: [earlyKinds]template{{[]byte{0x82}, who, 100, g}}}
	if !e.full([]byte{0x82}) || e.full([]byte{0x83}) {
		t.Error("only a call like the one that was refused is refused")
	}
	held.end()
	if e.refused[0].bytes = 10; e.full([]byte{0x82}) {
		t.Error("a call is refused for which there is room")
	}
}

// TestChangesNothing: only what leaves HPACK's table as it is may be kept from grpc.
func TestChangesNothing(t *testing.T) {
	for block, want := range map[string]bool{
		"":                             true,
		"\x82\x86\xbe\xff\x00":         true, // indexed, with a number of two bytes
		"\x00\x01a\x01b":               true, // a literal without a place in the table
		"\x10\x01a\x01b\x0f\x10\x01c":  true, // never, and with an indexed name
		"\x40\x01a\x01b":               false,
		"\x82\x41\x01b":                false,
		"\x20":                         false, // the size of the table
		"\x3f\xe1\x1f":                 false,
		"\x00\x05a":                    false, // cut
		"\x00\x01a":                    false,
		"\xff":                         false,
		"\xff\xff\xff\xff\xff\xff\xff": false,
	} {
		if got := changesNothing([]byte(block)); got != want {
			t.Errorf("%x: %v", block, got)
		}
	}
}

// TestOutgoing: frames of others come between those of grpc, however these are cut.
func TestOutgoing(t *testing.T) {
	inner, client := net.Pipe()
	defer inner.Close()
	told := make(chan []string)
	go func() { told <- answers(t, client) }()
	var b, hb bytes.Buffer
	fr := http2.NewFramer(&b, nil)
	_ = hpack.NewEncoder(&hb).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = fr.WritePing(true, [8]byte{})
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: hb.Bytes(), EndHeaders: false})
	_ = fr.WriteContinuation(1, true, []byte("\x00\x01a\x01b\x00\x01c\x01d"))
	var o outgoing
	window := appendHead(nil, 4, http2.FrameWindowUpdate, 0, 0)
	window = append(window, 0, 0, 0, 7)
	for _, one := range b.Bytes() {
		if _, err := o.write(inner, []byte{one}); err != nil {
			t.Fatal(err)
		}
		if err := o.insert(inner, window); err != nil {
			t.Fatal(err)
		}
	}
	_ = inner.Close() // of a pipe
	got := <-told
	windows, others := 0, []string{}
	for _, a := range got {
		if a == "window 0 7" {
			windows++
		} else {
			others = append(others, a)
		}
	}
	if windows != b.Len() || fmt.Sprint(others) != "[PING 1 status d end false]" {
		t.Errorf("%d windows of %d, and %q", windows, b.Len(), others)
	}
}

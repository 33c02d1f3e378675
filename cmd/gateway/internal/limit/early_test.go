// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// said is what a client meant by a call.
type said struct {
	id     uint32
	fields []hpack.HeaderField
	over   bool // more than there is room for
}

// sent is a client's frames.
type sent struct {
	out    bytes.Buffer
	hp     *hpack.Encoder
	block  bytes.Buffer
	fr     *http2.Framer
	random *rand.Rand
	calls  map[uint32]said
	next   uint32
	pings  int
	data   int // bytes
}

func newSent(random *rand.Rand) *sent {
	s := &sent{random: random, calls: map[uint32]said{}, next: 1}
	s.hp = hpack.NewEncoder(&s.block)
	s.fr = http2.NewFramer(&s.out, nil)
	s.out.WriteString(http2.ClientPreface)
	return s
}

// any sends a call of a kind that comes often, with a deadline of its own; or another; or something between.
func (s *sent) any() {
	fields := []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/x"}, {Name: "user", Value: "alice"}}
	switch s.random.IntN(12) {
	case 0:
		s.pings++
		_ = s.fr.WritePing(false, [8]byte{byte(s.pings)})
		return
	case 1:
		fields[2].Value = fmt.Sprint("u", s.random.IntN(6))
	case 2:
		fields = append(fields, hpack.HeaderField{Name: "x", Value: strings.Repeat("x", s.random.IntN(300)), Sensitive: true})
	case 3:
		s.hp.SetMaxDynamicTableSize(uint32(s.random.IntN(4097)))
	case 4:
		if s.random.IntN(4) == 0 {
			large := hpack.HeaderField{Name: "large", Value: strings.Repeat("a", 3000)}
			fields = append(fields, large, large, large, large, large, large, large)
		}
	case 5, 6, 7, 8:
		fields = append(fields, hpack.HeaderField{Name: "grpc-timeout", Value: fmt.Sprint(s.random.IntN(1e8), "u"), Sensitive: s.random.IntN(3) == 0})
	case 9:
		fields = append(fields, hpack.HeaderField{Name: "grpc-timeout", Value: "10S"}, hpack.HeaderField{Name: "traceparent", Value: fmt.Sprint(s.random.Uint64())})
	case 10:
		fields = append(fields, hpack.HeaderField{Name: "grpc-timeout", Value: "soon"})
	}
	s.call(fields)
}

// call sends headers in one frame or two, padded or not, and a message.
func (s *sent) call(fields []hpack.HeaderField) {
	id, size := s.next, uint32(0)
	s.next += 2
	s.block.Reset()
	for _, f := range fields {
		_ = s.hp.WriteField(f) // of a bytes.Buffer
		size += f.Size()
	}
	s.calls[id] = said{id, fields, size > HeadersMost}
	block, n := s.block.Bytes(), s.random.IntN(3000)
	p := http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: s.random.IntN(9) == 0}
	switch s.random.IntN(9) {
	case 0:
		p.PadLength = uint8(s.random.IntN(200))
	case 1:
		p.Priority = http2.PriorityParam{Weight: 3}
	case 2:
		if size <= HeadersMost { // else the connection ends
			p.BlockFragment, p.EndHeaders = block[:s.random.IntN(len(block))], false
		}
	}
	_ = s.fr.WriteHeaders(p) // of a bytes.Buffer, as what follows
	if !p.EndHeaders {
		_ = s.fr.WriteContinuation(id, true, block[len(p.BlockFragment):])
	}
	if !p.EndStream {
		s.data += n
		_ = s.fr.WriteData(id, true, make([]byte, n))
	}
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

// server reads as grpc does, and asks the tap about each call. It says what it has seen.
type server struct {
	c           *Conn
	g           *Gate
	seen        []said
	refused     map[string]bool // headers, but for what varies, of calls that the tap has refused
	pings, data int
	sizes       *rand.Rand
}

// Read implements io.Reader, for a buffer like grpc's, or smaller.
func (s *server) Read(p []byte) (int, error) {
	if s.sizes.IntN(4) == 0 {
		p = p[:1+s.sizes.IntN(len(p))]
	}
	return s.c.Read(p)
}

func (s *server) run(t *testing.T) {
	fr := http2.NewFramer(io.Discard, bufio.NewReaderSize(s, 32<<10))
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	fr.MaxHeaderListSize = HeadersMost
	fr.SetMaxReadFrameSize(16 << 10)
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(s, preface); err != nil || string(preface) != http2.ClientPreface {
		t.Errorf("it begins with %q, %v", preface, err)
	}
	for {
		f, err := fr.ReadFrame()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Errorf("grpc sees %v, %v", err, fr.ErrorDetail())
			return
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			s.call(f)
		case *http2.PingFrame:
			s.pings++
		case *http2.DataFrame:
			s.data += len(f.Data())
		}
	}
}

// call asks the tap about a call.
func (s *server) call(f *http2.MetaHeadersFrame) {
	s.seen = append(s.seen, said{f.StreamID, slices.Clone(f.Fields), f.Truncated})
	if f.Truncated {
		return // grpc does not ask
	}
	who := Caller{Key: "a", Weight: 4, Conn: s.c}
	if t := s.g.enter(who, 1); t != nil {
		s.c.admitted()
		t.end()
		return
	}
	s.c.refused()
	s.c.learn(s.g, who, 1)
	s.refused[steady(f.Fields)] = true
}

// steady is headers but for what varies.
func steady(fields []hpack.HeaderField) (text string) {
	for _, f := range fields {
		if !varies(f.Name) {
			text += f.Name + "=" + f.Value + "\n"
		}
	}
	return text
}

func (s said) String() (text string) {
	for _, f := range s.fields {
		text += f.Name + "=" + f.Value + "\n"
	}
	return text
}

// TestEarly: grpc sees every call that was not refused before it, and each says to it what the client meant, whatever happens to HPACK's tables
// and however the bytes are cut. What was refused is like something that the tap has refused, and has its answer. Nothing else is lost.
func TestEarly(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TARN_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("TARN_SEED=%d", seed)
	early := 0
	for round := range uint64(60) {
		client := newSent(rand.New(rand.NewPCG(seed, 3*round)))
		for range 300 {
			client.any()
		}
		s := &server{g: NewGate(0, 0), refused: map[string]bool{}, sizes: rand.New(rand.NewPCG(seed, 3*round+1))}
		if round%5 == 4 {
			s.g = NewGate(100, 100) // nothing is refused
		}
		got := s.serve(t, client, rand.New(rand.NewPCG(seed, 3*round+2)))
		early += client.check(t, s, got)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	if early < 60*300/10 {
		t.Errorf("only %d calls were refused before grpc saw them", early)
	}
}

// serve sends all to a connection, in pieces, and returns the answers.
func (s *server) serve(t *testing.T, client *sent, cuts *rand.Rand) []string {
	inner, other := net.Pipe()
	s.c = newConn(inner, "", &origin{}, &Conns{})
	s.c.credit, s.c.waste = 1e9, -1e9 // what is tested is not how fast it is read
	told := make(chan []string)
	go func() { told <- answers(t, other) }()
	go func() {
		for out := client.out.Bytes(); len(out) > 0; {
			n := min(1+cuts.IntN(1+cuts.IntN(40000)), len(out))
			_, _ = other.Write(out[:n]) // fails when the test has
			out = out[n:]
		}
		_ = inner.SetReadDeadline(time.Now()) // now that all was read
	}()
	s.c.Conn = endsAt{inner}
	s.run(t)
	_ = inner.Close() // of a pipe
	return <-told
}

// endsAt ends where its deadline is over.
type endsAt struct{ net.Conn }

// Read implements net.Conn.
func (c endsAt) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}

// check compares what was sent with what was seen and answered, and is how many calls were refused early.
func (s *sent) check(t *testing.T, server *server, got []string) (early int) {
	t.Helper()
	seen, last := map[uint32]bool{}, uint32(0)
	for _, one := range server.seen {
		want := s.calls[one.id]
		if one.id <= last || one.over != want.over || !one.over && one.String() != want.String() {
			t.Errorf("call %d behind %d means %v, and grpc sees %v", one.id, last, want, one)
		}
		seen[one.id], last = true, one.id
	}
	count := map[string]int{}
	for _, a := range got {
		count[a]++
	}
	for id, call := range s.calls {
		refused := count[fmt.Sprint(id, " status 8 end true")]
		if seen[id] == (refused == 1) || !seen[id] && !server.refused[steady(call.fields)] {
			t.Errorf("call %d, %v, was refused %d times; grpc has seen it: %v", id, call, refused, seen[id])
		}
		early += refused
	}
	windows := 0
	for _, a := range got {
		var n int
		_, _ = fmt.Sscanf(a, "window 0 %d", &n) // else it is none
		windows += n
	}
	if left := s.data - server.data - windows; left < 0 || left > 2*earlyWindow || server.pings != s.pings {
		t.Errorf("%d bytes of %d were seen, %d given back; %d pings of %d", server.data, s.data, windows, server.pings, s.pings)
	}
	if n := uint64(early); server.c.conns.Refusals.Counts().Total() != n || server.c.conns.Early.Load() != n {
		t.Errorf("%d were refused early, %d timed, %d counted", n, server.c.conns.Refusals.Counts().Total(), server.c.conns.Early.Load())
	}
	return early
}

// TestEarlyHasRoom: when the gate has room a call goes on to grpc, like what was refused or not; and so does one of another caller.
func TestEarlyHasRoom(t *testing.T) {
	g := NewGate(2, 100)
	who := Caller{Key: "a", Weight: 4}
	held := g.enter(who, 1)
	few := template{who: who, bytes: 100, gate: g}
	e := &early{}
	if !e.may(&few, 0, 1) || e.may(&few, 0, 0) {
		t.Error("a call for which there is no room is refused, unless it is none")
	}
	held.end()
	if few.bytes = 10; e.may(&few, 0, 1) {
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

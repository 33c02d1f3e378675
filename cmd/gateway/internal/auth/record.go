// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/internal/audit"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/wire"
)

// record is what the audit log will say of a call. Without an audit log, and of a call that it will not tell of, it does little.
type record struct {
	g      *Guard
	always bool // the call is written, however it ends: see Rule.administers
	mu     sync.Mutex
	entry  audit.Entry
	ctx    context.Context
}

// record begins the record of a call.
func (g *Guard) record(ctx context.Context, method string, who *Identity) *record {
	r := &record{g: g, ctx: ctx, always: g.audit != nil && g.rules[method].administers()}
	r.entry.What, r.entry.Who = method, who.Who()
	return r
}

// places are the fields of a request that say what it is about. Keys and values are in fields of type bytes, which are never looked at.
var places = map[protoreflect.Name]bool{"pool": true, "container": true, "object": true, "device": true, "label": true, "operation": true, "snapshot": true}

const placeMax = 512

// subject learns from a request what the call is about.
func (r *record) subject(req any) {
	if part, ok := req.(*wire.Received); ok {
		req = part.Message
	}
	m, ok := req.(proto.Message)
	if !ok {
		return
	}
	var all []string
	find(m.ProtoReflect(), 0, &all)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entry.Where = clean(strings.Join(all, " "))
}

// find looks into messages within the request, too: the header of a stream is one.
func find(m protoreflect.Message, depth int, all *[]string) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsList() || f.IsMap():
		case f.Kind() == protoreflect.StringKind && places[f.Name()] && m.Get(f).String() != "":
			*all = append(*all, m.Get(f).String())
		case f.Kind() == protoreflect.MessageKind && depth == 0 && m.Has(f):
			find(m.Get(f).Message(), depth+1, all)
		}
	}
}

// clean is a place as the log takes it.
func clean(s string) string { return strings.ToValidUTF8(s[:min(len(s), placeMax)], "?") }

// refused reports whether a call was refused for who called.
func refused(err error) bool {
	code := status.Code(err)
	return code == codes.PermissionDenied || code == codes.Unauthenticated
}

// identify fills in what costs something to find out.
func (r *record) identify() {
	if r.entry.ID != "" {
		return
	}
	r.entry.ID = strings.ToValidUTF8(idOf(r.ctx), "?")
	if p, ok := peer.FromContext(r.ctx); ok {
		r.entry.From = p.Addr.String()
	}
}

// header sends the request id of a refused call back, so that who asks about it can name it.
func (r *record) header() metadata.MD {
	r.identify()
	return metadata.Pairs(requestID, r.entry.ID)
}

// begin refuses a call that must be in the audit log while that cannot be written.
func (r *record) begin() error {
	if !r.always || !r.g.broken.Load() {
		return nil
	}
	if err := r.write("BEGIN"); err != nil {
		return fault.Status(errno.New("", "", errno.NoService, "the audit log cannot be written, and without it no administrative call is done"), false)
	}
	return nil
}

// denied is the status of a call that was refused.
func (r *record) denied(err error) error {
	err = fault.Status(err, false)
	r.g.denied.Add(1)
	if r.g.audit == nil {
		return err
	}
	if !r.g.denials.allow(time.Now()) {
		return err // counted, and told with the next one
	}
	_ = r.write(status.Code(err).String()) // logged; the call is refused either way
	return err
}

// ended writes how a call ended, when it is to be written.
func (r *record) ended(err error) error {
	if refused(err) {
		r.g.denied.Add(1)
	}
	if r.g.audit != nil && (r.always || refused(err)) {
		_ = r.write(status.Code(err).String()) // logged; the next administrative call is refused until it can be written
	}
	return err
}

// write appends the entry. An administrative one is durable then.
func (r *record) write(result string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.identify()
	r.entry.Result = result
	if n := r.g.denials.take(); n > 0 {
		r.entry.Note = "refused calls before this that are not listed: " + strconv.FormatUint(n, 10)
	}
	err := r.g.audit.Append(r.entry, r.always)
	r.g.broken.Store(err != nil)
	if err != nil && r.g.logged.allow(time.Now()) {
		r.g.cfg.Log.Error("the audit log cannot be written", "error", err)
	}
	return err
}

// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// KeyValue is the type of the objects that a stream can hold.
const KeyValue = "KV_LEXICAL"

// ExportOptions say what is exported, and how.
type ExportOptions struct {
	Object   string // the only one; "": all
	Lines    bool   // the JSON form
	Progress func(entries, bytes uint64)
}

// Export writes the objects of a container to w. Entries are read while it runs: for one moment of a container, export a snapshot. A key
// that is deleted meanwhile is left out. Errors: NOTSUPPORTED (an object that holds no keys and values), those of the system and of w.
func Export(ctx context.Context, cont system.Container, source string, w io.Writer, o ExportOptions) (Total, error) {
	buffered := bufio.NewWriterSize(w, 256<<10)
	x := &exporter{ctx: ctx, cont: cont, opts: o}
	if err := x.open(buffered); err != nil {
		return x.grammar.total, err
	}
	if err := x.run(source); err != nil {
		return x.grammar.total, err
	}
	return x.grammar.total, buffered.Flush()
}

type exporter struct {
	ctx     context.Context
	cont    system.Container
	opts    ExportOptions
	sink    sink
	grammar grammar
	piece   []byte
}

func (x *exporter) open(w io.Writer) (err error) {
	if x.opts.Lines {
		x.sink = &lineWriter{w}
		return nil
	}
	x.sink, err = newFrameWriter(w)
	return err
}

func (x *exporter) put(r record) error {
	if err := x.grammar.step(r); err != nil {
		return errno.New("", "", errno.Misc, "the export has a defect: "+err.Error())
	}
	return x.sink.put(r)
}

func (x *exporter) run(source string) error {
	info, err := x.cont.Info(x.ctx)
	if err != nil {
		return err
	}
	attributes, err := x.attributes()
	if err != nil {
		return err
	}
	header := Header{Version: 1, Source: source, Type: info.Type}
	if len(attributes) > 0 {
		header.Version = Version
	}
	header.Properties = system.Properties{Owner: &info.Owner, Description: &info.Description, ValueMax: &info.ValueMax}
	if info.Durability != "" {
		header.Properties.Durability = &info.Durability
	}
	if err := x.put(record{kind: kindHeader, header: header}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := x.put(record{kind: kindAttr, key: []byte(name), value: attributes[name]}); err != nil {
			return err
		}
	}
	if err := x.objects(); err != nil {
		return err
	}
	return x.put(record{kind: kindEnd, total: x.grammar.total})
}

// attributes are the container's, as far as the caller sees them; with one object only they do not belong to it.
func (x *exporter) attributes() (map[string][]byte, error) {
	if x.opts.Object != "" {
		return nil, nil
	}
	return x.cont.Attributes(x.ctx)
}

func (x *exporter) objects() error {
	if x.opts.Object != "" {
		info, err := x.cont.Object(x.ctx, x.opts.Object)
		if err != nil {
			return err
		}
		return x.object(info)
	}
	for info, err := range x.cont.Objects(x.ctx, "") {
		if err != nil {
			return err
		}
		if err := x.object(info); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) object(info system.ObjectInfo) error {
	if info.Type != KeyValue {
		return errno.New("", info.Name, errno.NotSupported,
			fmt.Sprintf("the object is of type %s, and a stream holds key-value objects only: export the others one by one", info.Type))
	}
	kv, err := x.cont.OpenKV(x.ctx, info.Name, false)
	if errors.Is(err, errno.NonExist) { // removed meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(x.entries(info.Name, kv), kv.Close())
}

func (x *exporter) entries(name string, kv system.KV) error {
	if err := x.put(record{kind: kindObject, name: name}); err != nil {
		return err
	}
	for e, err := range kv.List(x.ctx, system.Range{}) {
		if err != nil {
			return err
		}
		if e.Omitted {
			err = x.large(kv, e.Key)
		} else {
			err = x.put(record{kind: kindEntry, key: e.Key, value: e.Value})
		}
		if err != nil {
			return err
		}
		x.opts.Progress(1, uint64(len(e.Key))+e.Size)
	}
	return nil
}

// large writes a value that the listing left out, in pieces. It may be another one by now, and smaller.
func (x *exporter) large(kv system.KV, key []byte) error {
	r, err := kv.Reader(x.ctx, key)
	if errors.Is(err, errno.NonExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(x.pieces(key, r), r.Close())
}

func (x *exporter) pieces(key []byte, r system.Reader) error {
	size := r.Stat().Size
	if size <= ValueMax {
		value, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return x.put(record{kind: kindEntry, key: key, value: value})
	}
	if err := x.put(record{kind: kindLarge, key: key, size: size}); err != nil {
		return err
	}
	if x.piece == nil {
		x.piece = make([]byte, pieceMax)
	}
	for {
		n, err := io.ReadFull(r, x.piece)
		if n > 0 {
			if err := x.put(record{kind: kindPiece, value: x.piece[:n]}); err != nil {
				return err
			}
		}
		if short(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// etcd is one member by itself. Its API is that of etcdserverpb.KV, of which a few fields are enough here, so they are written by hand.
type etcd struct {
	*process
	conn *grpc.ClientConn
}

// raw is a codec of messages that are bytes already.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func openEtcd(ctx context.Context, r *run) (peer, error) {
	p, ports, err := r.launch("etcd", "etcd-server", 2, func(dir string, ports []int) []string {
		clients, peers := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
		return []string{"--data-dir", dir + "/data", "--listen-client-urls", clients, "--advertise-client-urls", clients,
			"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default=" + peers,
			"--quota-backend-bytes", "8589934592", "--log-level", "error"}
	})
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", ports[0]), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	e := &etcd{p, conn}
	return e, p.answers(ctx, func(ctx context.Context) error {
		_, err := e.call(ctx, "Range", appendBytes(nil, 1, []byte("none")))
		return err
	})
}

func (e *etcd) name() string     { return "etcd" }
func (e *etcd) serverOf() server { return e.process }
func (e *etcd) end() error       { return errors.Join(e.conn.Close(), e.process.end()) }

func (e *etcd) call(ctx context.Context, method string, req []byte) (resp []byte, err error) {
	err = e.conn.Invoke(ctx, "/etcdserverpb.KV/"+method, req, &resp)
	return resp, err
}

func appendBytes(b []byte, field protowire.Number, val []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), val)
}

// get is a RangeRequest of one key that is serializable: the cheapest read that etcd has.
func (e *etcd) get(d *data) call {
	return func(ctx context.Context) error {
		req := appendBytes(nil, 1, d.key())
		req = protowire.AppendVarint(protowire.AppendTag(req, 7, protowire.VarintType), 1)
		resp, err := e.call(ctx, "Range", req)
		if err == nil && len(resp) < len(d.val) {
			return errors.New("etcd did not find a key that was put")
		}
		return err
	}
}

func putRequest(d *data, key []byte) []byte { return appendBytes(appendBytes(nil, 1, key), 2, d.val) }

func (e *etcd) put(d *data) call {
	return func(ctx context.Context) error {
		_, err := e.call(ctx, "Put", putRequest(d, d.key()))
		return err
	}
}

// batch is a TxnRequest whose success is puts.
func (e *etcd) batch(d *data) call {
	return func(ctx context.Context) error {
		var req []byte
		for _, key := range d.some(batchKeys) {
			req = appendBytes(req, 2, appendBytes(nil, 2, putRequest(d, key)))
		}
		_, err := e.call(ctx, "Txn", req)
		return err
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package client reaches the pools of a gateway over gRPC. It implements package system, as package tarn does in this process, and
// needs no C library:
//
//	sys, err := client.Dial(ctx, "unix:/var/lib/tarn/tarn.sock")
//	pool, err := sys.OpenPool(ctx, "tank")
//	cont, err := pool.OpenContainer(ctx, "neo")
//	kv, err := cont.OpenKV(ctx, "stadium", true)
//	err = kv.Put(ctx, []byte("Barcelona"), []byte("Camp Nou")) // durable when Put returns
//
// Handles are names here: an open pool or container is known by its UUID and holds nothing on the gateway, so another client may
// destroy it; then calls fail with NONEXIST. Values over the gateway's unary limit go through streams by themselves. A batch of Apply
// is one message, of at most 4 MiB. Calls that change nothing are repeated when the gateway cannot be reached for a moment. Any call but a
// stream is repeated, up to ten times with growing pauses, when the gateway was full and has not begun it. Else a change is never sent twice.
//
// A handle that is collected before it is closed is logged, and counted by Leaked.
//
// Every error is a *errno.Error, with the code, size and index that the gateway found. All handles are safe for concurrent use, but
// for readers and writers.
package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/wire"
)

const (
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second

	// noDeadline is the deadline of a call whose caller set none: the gateway would give it 30 s, and this package promises none.
	noDeadline = 24 * time.Hour

	// What a gateway of this machine may send before it is read.
	streamWindow = 1 << 20
	connWindow   = 2 << 20
)

// System is a gateway.
type System struct {
	handle
	conn       *grpc.ClientConn
	limits     *apiv1.ServerLimits
	version    string
	pools      apiv1.PoolServiceClient
	containers apiv1.ContainerServiceClient
	objects    apiv1.ObjectServiceClient
	keyValues  apiv1.KeyValueServiceClient
	snapshots  apiv1.SnapshotServiceClient
	operations apiv1.OperationServiceClient
	devices    apiv1.DeviceServiceClient
	admin      apiv1.AdminServiceClient
	joint      *joint // nil: each put is a call
}

var _ system.System = (*System)(nil)

// Dial connects to a gateway and asks for its limits: "unix:PATH", "dns:/HOST:PORT" or "HOST:PORT". ctx bounds this first call
// only. The connection is restored by itself when it breaks. UNREACH when nobody answers, INVAL when the endpoint is malformed.
func Dial(ctx context.Context, endpoint string) (*System, error) {
	return DialWith(ctx, endpoint, Options{})
}

// DialWith is Dial with TLS, a certificate or a token. Beside the errors of Dial: INVAL also when an option or a file is not right, NO_CERT
// when the gateway wants to know who calls, BAD_CERT when it does not take the token or the certificate, or when its certificate is not taken
// here. A gateway that refuses a certificate may close the connection before it has said so: that is UNREACH.
func DialWith(ctx context.Context, endpoint string, opts Options) (*System, error) {
	const op = "dial"
	if err := errors.Join(checkEndpoint(endpoint), opts.check(endpoint)); err != nil {
		return nil, errno.New(op, endpoint, errno.Inval, err.Error())
	}
	dial, err := dialOptions(endpoint, opts)
	if err != nil {
		return nil, errno.New(op, endpoint, errno.Inval, err.Error())
	}
	conn, err := grpc.NewClient(endpoint, dial...)
	if err != nil {
		return nil, errno.New(op, endpoint, errno.Inval, fmt.Sprintf("the endpoint cannot be used: %v", err))
	}
	s := newSystem(conn, endpoint)
	info, err := s.admin.GetServerInfo(ctx, &apiv1.GetServerInfoRequest{})
	if err != nil {
		_ = s.Close() // the error that counts is the call's
		return nil, fromStatus(ctx, op, endpoint, err)
	}
	s.limits, s.version = info.GetLimits(), info.GetVersion()
	if !opts.SeparatePuts {
		s.joint = newJoint(s.keyValues)
	}
	return s, nil
}

func dialOptions(endpoint string, opts Options) ([]grpc.DialOption, error) {
	transport, err := opts.transport(endpoint)
	if err != nil {
		return nil, err
	}
	all := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		grpc.WithChainUnaryInterceptor(withDeadline, patient),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{})),
		experimental.WithBufferPool(wire.Pool),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	if local(endpoint) { // else they grow with what is measured on the way, which here is little
		all = append(all, grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connWindow))
	}
	if opts.Token != "" || opts.TokenFile != "" {
		all = append(all, grpc.WithPerRPCCredentials(&bearer{fixed: opts.Token, path: opts.TokenFile}))
	}
	return all, nil
}

func newSystem(conn *grpc.ClientConn, endpoint string) *System {
	s := &System{
		conn:       conn,
		pools:      apiv1.NewPoolServiceClient(conn),
		containers: apiv1.NewContainerServiceClient(conn),
		objects:    apiv1.NewObjectServiceClient(conn),
		keyValues:  apiv1.NewKeyValueServiceClient(conn),
		snapshots:  apiv1.NewSnapshotServiceClient(conn),
		operations: apiv1.NewOperationServiceClient(conn),
		devices:    apiv1.NewDeviceServiceClient(conn),
		admin:      apiv1.NewAdminServiceClient(conn),
	}
	s.handle.init(nil, "system", endpoint)
	watch(s, &s.handle, nil) // a call that runs may be the last to know of it: its connection stays
	return s
}

func checkEndpoint(endpoint string) error {
	path, isUnix := strings.CutPrefix(endpoint, "unix:")
	if isUnix && path != "" {
		return nil
	}
	host := strings.TrimPrefix(strings.TrimLeft(strings.TrimPrefix(endpoint, "dns:"), "/"), "/")
	if i := strings.LastIndexByte(host, ':'); !isUnix && i > 0 && i < len(host)-1 && !strings.Contains(host, "/") {
		return nil
	}
	return fmt.Errorf("%q is not an endpoint; write unix:PATH, dns:/HOST:PORT or HOST:PORT", endpoint)
}

// withDeadline gives a call without a deadline a very long one.
func withDeadline(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, noDeadline)
		defer cancel()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// Version is the version of the gateway, as it was when dialled.
func (s *System) Version() string { return s.version }

// Close ends the connection. BUSY while a pool of it is open.
func (s *System) Close() error {
	return s.close("system close", func() error {
		s.joint.close()
		return s.conn.Close()
	})
}

// Pools lists the pools in the order of their labels.
func (s *System) Pools(ctx context.Context) ([]system.PoolInfo, error) {
	const op = "pool list"
	if err := s.check(ctx, op); err != nil {
		return nil, err
	}
	var all []system.PoolInfo
	for token := ""; ; {
		resp, err := s.pools.ListPools(ctx, &apiv1.ListPoolsRequest{PageToken: token})
		if err != nil {
			return nil, fromStatus(ctx, op, s.ref, err)
		}
		for _, p := range resp.GetPools() {
			all = append(all, poolInfo(p))
		}
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// CreatePool makes a pool on the gateway's machine.
func (s *System) CreatePool(ctx context.Context, label string, opts system.CreatePool) (system.PoolInfo, error) {
	const op = "pool create"
	if err := s.checkName(ctx, op, label, label); err != nil {
		return system.PoolInfo{}, err
	}
	if opts.Request != [16]byte{} {
		return system.PoolInfo{}, errno.New(op, label, errno.NotSupported, "a gateway keeps the ids of its own requests: leave Request empty")
	}
	resp, err := s.pools.CreatePool(ctx, &apiv1.CreatePoolRequest{
		Label: label, Size: opts.Size, Device: opts.Device, LogBytes: opts.LogBytes, NodeBytes: opts.NodeBytes, Overwrite: opts.Overwrite, Zeroed: opts.Zeroed,
		Owner: opts.Owner, Group: opts.Group,
	})
	if err != nil {
		return system.PoolInfo{}, fromStatus(ctx, op, label, err)
	}
	return poolInfo(resp.GetPool()), nil
}

// OpenPool finds a pool. NONEXIST when there is none of that label or UUID.
func (s *System) OpenPool(ctx context.Context, labelOrUUID string) (system.Pool, error) {
	const op = "pool open"
	if err := s.checkName(ctx, op, labelOrUUID, labelOrUUID); err != nil {
		return nil, err
	}
	resp, err := s.pools.GetPool(ctx, &apiv1.GetPoolRequest{Pool: labelOrUUID, View: apiv1.PoolView_POOL_VIEW_BASIC})
	if err != nil {
		return nil, fromStatus(ctx, op, labelOrUUID, err)
	}
	p := &Pool{sys: s, name: resp.GetPool().GetUuid()}
	if err := p.init(&s.handle, "pool", resp.GetPool().GetLabel()); err != nil {
		return nil, err
	}
	watch(p, &p.handle, nil)
	return p, nil
}

// DestroyPool destroys a pool; with force also one that holds containers.
func (s *System) DestroyPool(ctx context.Context, labelOrUUID string, force bool) error {
	const op = "pool destroy"
	if err := s.checkName(ctx, op, labelOrUUID, labelOrUUID); err != nil {
		return err
	}
	_, err := s.pools.DeletePool(ctx, &apiv1.DeletePoolRequest{Pool: labelOrUUID, Force: force})
	return fromStatus(ctx, op, labelOrUUID, err)
}

func poolInfo(p *apiv1.Pool) system.PoolInfo {
	space, engine := p.GetSpace(), p.GetEngine()
	return system.PoolInfo{
		UUID: p.GetUuid(), Label: p.GetLabel(), Path: p.GetPath(), Targets: p.GetTargets(), MapVersion: p.GetMapVersion(),
		FormatVersion: p.GetFormatVersion(), ReadOnly: p.GetReadOnly(),
		TotalBytes: space.GetTotalBytes(), FreeBytes: space.GetFreeBytes(),
		LogBytes: engine.GetLogBytes(), LogUsedBytes: engine.GetLogUsedBytes(), CacheBytes: engine.GetCacheBytes(),
		CacheUsedBytes: engine.GetCacheUsedBytes(), Generation: engine.GetGeneration(), Containers: engine.GetContainers(),
	}
}

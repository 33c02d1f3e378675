// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/tarn-storage/tarn/cmd/gateway/internal/admin"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

const tasksShown = 20

// listenAdmin listens on the admin address, if there is one.
func (s *Server) listenAdmin(calls *limit.Calls) (err error) {
	if s.cfg.Admin == "" {
		return nil
	}
	s.admin, err = admin.New(admin.Config{
		Addr: s.cfg.Admin, Exposed: s.cfg.AdminExposed, System: s.cfg.System, Handles: s.handles, Gate: s.gate, Conns: s.conns,
		Counts: &calls.Counts, Watch: calls.Watch, Drain: s.drain, Tasks: s.tasks, InFlight: s.cfg.CoreInFlight,
		Denied: s.guard.Denied, Sessions: s.services.Sessions, Trace: s.trace,
		Version: s.cfg.Version, Started: s.services.Started, Log: s.cfg.Log,
	})
	return err
}

func (s *Server) tasks() []admin.Task {
	all := []admin.Task{}
	for _, op := range s.services.Operations(tasksShown) {
		all = append(all, taskOf(op))
	}
	return all
}

func taskOf(op *apiv1.Operation) admin.Task {
	t := admin.Task{Name: op.GetName(), Kind: op.GetKind(), Target: op.GetTarget(), Start: op.GetStartTime().AsTime().UnixMilli(),
		Done: op.GetProgressBytes(), Total: op.GetTotalBytes(), State: "running"}
	switch {
	case op.GetError() != nil:
		t.State = op.GetError().GetReason()
	case op.GetDone():
		t.State = "done"
	}
	return t
}

// Admin is the address of the HTTP server for operators, with its real port; "" when there is none.
func (s *Server) Admin() string {
	if s.admin == nil {
		return ""
	}
	return s.admin.Addr()
}

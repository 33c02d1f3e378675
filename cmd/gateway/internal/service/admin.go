// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

type admin struct {
	apiv1.UnimplementedAdminServiceServer
	*Services
}

func (s *admin) GetServerInfo(context.Context, *apiv1.GetServerInfoRequest) (*apiv1.GetServerInfoResponse, error) {
	return &apiv1.GetServerInfoResponse{
		Version:  s.Version,
		Features: []string{"reflection"},
		Limits: &apiv1.ServerLimits{
			KeyBytes:        system.KeyMax,
			ValueBytes:      system.ValueMax,
			UnaryValueBytes: UnaryValueMax,
			MessageBytes:    MessageMax,
			BatchKeys:       BatchMax,
			ApplyMutations:  system.BatchMax,
			PageSize:        PageMax,
		},
	}, nil
}

func (s *admin) Echo(context.Context, *apiv1.EchoRequest) (*apiv1.EchoResponse, error) {
	return &apiv1.EchoResponse{}, nil
}

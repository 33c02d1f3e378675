// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

type objects struct {
	apiv1.UnimplementedObjectServiceServer
	*Services
}

func (s *objects) CreateObject(ctx context.Context, req *apiv1.CreateObjectRequest) (*apiv1.CreateObjectResponse, error) {
	return once(ctx, &s.replays, req, func() (*apiv1.CreateObjectResponse, error) {
		resp := &apiv1.CreateObjectResponse{}
		err := s.withContainer(ctx, req.GetContainer(), func(c system.Container) error {
			return s.withNotes(ctx, c, req.GetContainer(), req, resp, func(n *notebook) error {
				info, err := creating(ctx, n, func() (system.ObjectInfo, error) { return c.Object(ctx, req.GetName()) },
					func() (system.ObjectInfo, error) { return c.CreateObject(ctx, req.GetName()) })
				resp.Object = objectOf(info)
				return n.end(ctx, resp, err)
			})
		})
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

func (s *objects) GetObject(ctx context.Context, req *apiv1.GetObjectRequest) (*apiv1.GetObjectResponse, error) {
	r, err := ref("object", req.GetObject(), handles.ObjectParts)
	if err != nil {
		return nil, err
	}
	var info system.ObjectInfo
	err = s.withContainer(ctx, string(r.Parent()), func(c system.Container) (err error) {
		info, err = c.Object(ctx, r.Name())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.GetObjectResponse{Object: objectOf(info)}, nil
}

func (s *objects) ListObjects(ctx context.Context, req *apiv1.ListObjectsRequest) (*apiv1.ListObjectsResponse, error) {
	p, err := pageOf(req)
	if err != nil {
		return nil, err
	}
	if req.GetPageToken() == "" {
		p.after = req.GetAfter()
	}
	resp := &apiv1.ListObjectsResponse{}
	err = s.withContainer(ctx, req.GetContainer(), func(c system.Container) error {
		for info, err := range c.Objects(ctx, p.after) {
			switch {
			case err != nil:
				return err
			case len(resp.Objects) == p.size:
				resp.NextPageToken = token(resp.Objects[p.size-1].Name)
				return nil
			}
			resp.Objects = append(resp.Objects, objectOf(info))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// RenameObject makes everybody look for the object under its new name, also when it failed: its answer may have been lost, and not the change.
func (s *objects) RenameObject(ctx context.Context, req *apiv1.RenameObjectRequest) (*apiv1.RenameObjectResponse, error) {
	return once(ctx, &s.replays, req, func() (*apiv1.RenameObjectResponse, error) {
		r, err := ref("object", req.GetObject(), handles.ObjectParts)
		if err != nil {
			return nil, err
		}
		resp, container := &apiv1.RenameObjectResponse{}, string(r.Parent())
		err = s.withContainer(ctx, container, func(c system.Container) error {
			defer s.Handles.Forget(r)
			return s.withNotes(ctx, c, container, req, resp, func(n *notebook) error {
				info, err := creating(ctx, n, func() (system.ObjectInfo, error) { return renamed(ctx, c, r.Name(), req.GetNewName()) },
					func() (system.ObjectInfo, error) { return rename(ctx, c, r.Name(), req.GetNewName()) })
				resp.Object = objectOf(info)
				return n.end(ctx, resp, err)
			})
		})
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

func rename(ctx context.Context, c system.Container, name, to string) (system.ObjectInfo, error) {
	if err := c.RenameObject(ctx, name, to); err != nil {
		return system.ObjectInfo{}, err
	}
	return c.Object(ctx, to)
}

// renamed is the object under its new name, NONEXIST as long as there is one under the old.
func renamed(ctx context.Context, c system.Container, name, to string) (system.ObjectInfo, error) {
	switch _, err := c.Object(ctx, name); {
	case err == nil:
		return system.ObjectInfo{}, errno.New("", name, errno.NonExist, "the object is not renamed yet")
	case !errors.Is(err, errno.NonExist):
		return system.ObjectInfo{}, err
	}
	return c.Object(ctx, to)
}

func (s *objects) DeleteObject(ctx context.Context, req *apiv1.DeleteObjectRequest) (*apiv1.DeleteObjectResponse, error) {
	r, err := ref("object", req.GetObject(), handles.ObjectParts)
	if err != nil {
		return nil, err
	}
	h, err := s.Handles.Get(ctx, r.Parent())
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if err := s.Handles.Drop(ctx, r); err != nil {
		return nil, err
	}
	if err := h.Container.DestroyObject(ctx, r.Name()); err != nil {
		return nil, err
	}
	return &apiv1.DeleteObjectResponse{}, nil
}

func objectOf(i system.ObjectInfo) *apiv1.Object {
	return &apiv1.Object{Name: i.Name, Oid: i.OID, Type: i.Type}
}

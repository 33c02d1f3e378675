// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/access"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

type containers struct {
	apiv1.UnimplementedContainerServiceServer
	*Services
}

func (s *containers) CreateContainer(ctx context.Context, req *apiv1.CreateContainerRequest) (*apiv1.CreateContainerResponse, error) {
	return once(ctx, &s.replays, req, func() (*apiv1.CreateContainerResponse, error) {
		layout, err := layoutOf(req.GetType())
		if err != nil {
			return nil, err
		}
		resp := &apiv1.CreateContainerResponse{}
		err = s.withPool(ctx, req.GetPool(), func(p system.Pool) error {
			info, err := p.CreateContainer(ctx, req.GetLabel(), system.CreateContainer{
				Type:       layout,
				Properties: ownedBy(ctx, propertiesOf(req.GetProperties())),
			})
			if err == nil {
				resp.Container = containerOf(info)
			}
			return s.noteCreation(ctx, p, req, resp, err)
		})
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

// noteCreation notes the answer in the new container. When the label is taken, and by this very call, the answer is there.
func (s *containers) noteCreation(ctx context.Context, p system.Pool, req *apiv1.CreateContainerRequest, resp *apiv1.CreateContainerResponse, created error) error {
	if req.GetRequestId() == "" || created != nil && !errors.Is(created, errno.Exist) {
		return created
	}
	c, err := p.OpenContainer(ctx, req.GetLabel())
	if err != nil {
		return errors.Join(created, err)
	}
	err = s.withNotes(ctx, c, req.GetPool()+"/"+req.GetLabel(), req, resp, func(n *notebook) error {
		if created != nil {
			return created
		}
		_ = n.end(ctx, resp, nil) // the container is there all the same; a pool may be too full for the note
		return nil
	})
	return errors.Join(err, c.Close())
}

func (s *containers) GetContainer(ctx context.Context, req *apiv1.GetContainerRequest) (*apiv1.GetContainerResponse, error) {
	h, err := s.handle(ctx, "container", req.GetContainer(), handles.ContainerParts)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	info, err := h.Container.Info(ctx)
	if err != nil {
		return nil, err
	}
	described, err := access.Describes(ctx, h)
	if err != nil {
		return nil, err
	}
	c, attributes := shown(containerOf(info), described), system.Attributes(nil)
	if described {
		attributes = h.Container
	}
	if err := readMasked(ctx, req.GetReadMask(), c, attributes); err != nil {
		return nil, err
	}
	return &apiv1.GetContainerResponse{Container: c}, nil
}

func (s *containers) ListContainers(ctx context.Context, req *apiv1.ListContainersRequest) (*apiv1.ListContainersResponse, error) {
	p, err := pageOf(req)
	if err != nil {
		return nil, err
	}
	pool, err := s.handle(ctx, "pool", req.GetPool(), handles.PoolParts)
	if err != nil {
		return nil, err
	}
	defer pool.Release()
	spanned, span := s.Trace.Storage(ctx, "pool", req.GetPool())
	all, err := pool.Pool.Containers(spanned)
	if span.End(err) != nil {
		return nil, err
	}
	view := viewOf(ctx, pool)
	all, next, err := visible(all, p, func(i system.ContainerInfo) string { return i.Label }, view.container)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.ListContainersResponse{NextPageToken: next}
	for _, info := range all {
		resp.Containers = append(resp.Containers, shown(containerOf(info), !view.bare[info.UUID]))
	}
	return resp, nil
}

func (s *containers) UpdateContainer(ctx context.Context, req *apiv1.UpdateContainerRequest) (*apiv1.UpdateContainerResponse, error) {
	if isOfAttributes(req) {
		return s.updateAttributes(ctx, req)
	}
	change, err := masked(req)
	if err != nil {
		return nil, err
	}
	if change.Owner != nil || change.Group != nil { // whoever owns it can set its list
		ctx = auth.Needing(ctx, apiv1.Permission_PERMISSION_SET_PROPERTIES, apiv1.Permission_PERMISSION_SET_OWNER)
	}
	var info system.ContainerInfo
	err = s.withContainer(ctx, req.GetContainer(), func(c system.Container) (err error) {
		if err := c.SetProperties(ctx, change); err != nil {
			return err
		}
		info, err = c.Info(ctx)
		return err
	})
	if change.Owner != nil || change.Group != nil {
		s.Handles.AccessChanged()
	}
	if err != nil {
		return nil, err
	}
	return &apiv1.UpdateContainerResponse{Container: containerOf(info)}, nil
}

// masked is what update_mask leaves of the properties.
func masked(req *apiv1.UpdateContainerRequest) (system.Properties, error) {
	all := propertiesOf(req.GetProperties())
	if len(req.GetUpdateMask().GetPaths()) == 0 {
		return all, nil
	}
	var change system.Properties
	for _, path := range req.GetUpdateMask().GetPaths() {
		set := false
		switch path {
		case "owner":
			change.Owner, set = all.Owner, all.Owner != nil
		case "group":
			change.Group, set = all.Group, all.Group != nil
		case "description":
			change.Description, set = all.Description, all.Description != nil
		case "value_max":
			change.ValueMax, set = all.ValueMax, all.ValueMax != nil
		case "durability":
			change.Durability, set = all.Durability, all.Durability != nil
		default:
			return change, fault.Invalid("update_mask", req.GetContainer(),
				"update_mask names %.64q; it can name owner, group, description, value_max and durability, or, in another call, attributes", path)
		}
		if !set {
			return change, fault.Invalid("properties", req.GetContainer(), "update_mask names %s, which properties does not set", path)
		}
	}
	return change, nil
}

func (s *containers) DeleteContainer(ctx context.Context, req *apiv1.DeleteContainerRequest) (*apiv1.DeleteContainerResponse, error) {
	r, err := ref("container", req.GetContainer(), handles.ContainerParts)
	if err != nil {
		return nil, err
	}
	if err := s.mayDelete(ctx, r); err != nil {
		return nil, err
	}
	h, err := s.Handles.Get(auth.Gateway(ctx), r.Parent())
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if err := s.Handles.Drop(ctx, r); err != nil {
		return nil, err
	}
	if err := h.Pool.DestroyContainer(ctx, r.Name(), req.GetForce()); err != nil {
		return nil, hintForce(err, req.GetForce())
	}
	return &apiv1.DeleteContainerResponse{}, nil
}

// layouts are the types of containers, on the wire and in the system.
var layouts = map[apiv1.ContainerType]system.ContainerType{
	apiv1.ContainerType_CONTAINER_TYPE_UNSPECIFIED: system.TypeKV,
	apiv1.ContainerType_CONTAINER_TYPE_UNKNOWN:     system.TypeUnknown,
	apiv1.ContainerType_CONTAINER_TYPE_POSIX:       system.TypePOSIX,
	apiv1.ContainerType_CONTAINER_TYPE_HDF5:        system.TypeHDF5,
	apiv1.ContainerType_CONTAINER_TYPE_PYTHON:      system.TypePython,
	apiv1.ContainerType_CONTAINER_TYPE_KV:          system.TypeKV,
}

func layoutOf(t apiv1.ContainerType) (system.ContainerType, error) {
	layout, ok := layouts[t]
	if !ok {
		return "", fault.Invalid("type", "", "type is %d; this server knows %d types of containers", t, len(layouts)-1)
	}
	return layout, nil
}

func typeOf(layout system.ContainerType) apiv1.ContainerType {
	for t, l := range layouts {
		if l == layout && t != apiv1.ContainerType_CONTAINER_TYPE_UNSPECIFIED {
			return t
		}
	}
	return apiv1.ContainerType_CONTAINER_TYPE_UNKNOWN
}

func propertiesOf(p *apiv1.ContainerProperties) system.Properties {
	if p == nil {
		return system.Properties{}
	}
	return system.Properties{Owner: p.Owner, Group: p.Group, Description: p.Description, ValueMax: p.ValueMax, Durability: durability(p.Durability)}
}

// durability is a property of the wire; one that is not known is for the engine to refuse.
func durability(d *apiv1.Durability) *system.Durability {
	if d == nil || *d == apiv1.Durability_DURABILITY_UNSPECIFIED {
		return nil
	}
	kind := system.Durability(strings.ToLower(strings.TrimPrefix(d.String(), "DURABILITY_")))
	return &kind
}

func durabilityOf(d system.Durability) *apiv1.Durability {
	return apiv1.Durability(apiv1.Durability_value["DURABILITY_"+strings.ToUpper(string(d))]).Enum()
}

func (s *containers) SyncContainer(ctx context.Context, req *apiv1.SyncContainerRequest) (*apiv1.SyncContainerResponse, error) {
	err := s.withContainer(ctx, req.GetContainer(), func(c system.Container) error { return c.Sync(ctx) })
	if err != nil {
		return nil, err
	}
	return &apiv1.SyncContainerResponse{}, nil
}

func containerOf(i system.ContainerInfo) *apiv1.Container {
	return &apiv1.Container{
		Uuid: i.UUID, Label: i.Label, Type: typeOf(i.Type), CreateTime: timestamppb.New(i.Created),
		OpenHandles: i.OpenHandles, Objects: i.Objects, Snapshots: i.Snapshots, Epoch: i.Epoch,
		Properties: &apiv1.ContainerProperties{
			Owner: &i.Owner, Group: &i.Group, Description: &i.Description, ValueMax: &i.ValueMax, Durability: durabilityOf(i.Durability),
		},
	}
}

// SPDX-License-Identifier: Apache-2.0

package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// User attributes of pools and containers. A gateway holds its pools alone, so that an etag that was compared stays true until the change is
// made, as long as one change of attributes goes on at a time.

const (
	attributesPath = "attributes"
	attributePath  = "attributes." // and the name, whatever is in it
)

// attributeUpdate is what a request says of attributes.
type attributeUpdate interface {
	GetAttributes() map[string][]byte
	GetUpdateMask() *fieldmaskpb.FieldMask
	GetEtag() string
}

// isOfAttributes reports whether a request is about attributes, or about both, which is refused then.
func isOfAttributes(req *apiv1.UpdateContainerRequest) bool {
	return len(req.GetAttributes()) > 0 || req.GetEtag() != "" || slices.ContainsFunc(req.GetUpdateMask().GetPaths(), isAttribute)
}

func isAttribute(path string) bool {
	return path == attributesPath || strings.HasPrefix(path, attributePath)
}

func (s *containers) updateAttributes(ctx context.Context, req *apiv1.UpdateContainerRequest) (*apiv1.UpdateContainerResponse, error) {
	if req.GetProperties() != nil {
		return nil, fault.Invalid("attributes", req.GetContainer(), "properties and attributes are changed by two calls; this one has both")
	}
	resp := &apiv1.UpdateContainerResponse{}
	err := s.withContainer(ctx, req.GetContainer(), func(c system.Container) error {
		all, err := s.changeAttributes(ctx, req.GetContainer(), c, req)
		if err != nil {
			return err
		}
		info, err := c.Info(ctx)
		resp.Container = containerOf(info)
		resp.Container.Attributes, resp.Container.Etag = all, etagOf(all)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// changeAttributes makes the change that a request asks for, and returns all attributes after it.
func (s *Services) changeAttributes(ctx context.Context, name string, of system.Attributes, req attributeUpdate) (map[string][]byte, error) {
	s.attributes.Lock()
	defer s.attributes.Unlock()
	now, etag, err := attributesOf(ctx, of)
	if err != nil {
		return nil, err
	}
	if want := req.GetEtag(); want != "" && want != etag {
		return nil, errno.New("", name, errno.TXRestart, "the attributes have changed: their etag is "+etag+"; read them again")
	}
	change, err := attributeChange(name, now, req)
	if err != nil || len(change) == 0 {
		return now, err
	}
	if err := of.SetAttributes(ctx, change); err != nil {
		return nil, err
	}
	maps.Copy(now, change)
	maps.DeleteFunc(now, func(_ string, value []byte) bool { return len(value) == 0 })
	return now, nil
}

// attributeChange is what is to be set, and with empty values deleted. now: what there is.
func attributeChange(name string, now map[string][]byte, req attributeUpdate) (map[string][]byte, error) {
	given, change := req.GetAttributes(), map[string][]byte{}
	if len(req.GetUpdateMask().GetPaths()) == 0 {
		return given, nil
	}
	for _, path := range req.GetUpdateMask().GetPaths() {
		attr, one := strings.CutPrefix(path, attributePath)
		switch {
		case one:
			change[attr] = given[attr]
		case path == attributesPath:
			for old := range now {
				change[old] = nil
			}
			maps.Copy(change, given)
		default:
			return nil, fault.Invalid("update_mask", name, "update_mask names %.64q; it can name attributes, or attributes.NAME", path)
		}
	}
	maps.DeleteFunc(change, func(name string, value []byte) bool { // what is so already; but a deletion alone says that there is none
		return len(value) > 0 && bytes.Equal(now[name], value)
	})
	return change, nil
}

func attributesOf(ctx context.Context, of system.Attributes) (map[string][]byte, string, error) {
	all, err := of.Attributes(ctx)
	return all, etagOf(all), err
}

// etagOf is a sum of all names and values, each with its length before it.
func etagOf(all map[string][]byte) string {
	sum := sha256.New()
	add := func(b []byte) {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		sum.Write(b)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		add([]byte(name))
		add(all[name])
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// readMasked leaves of a container what mask names, and adds its attributes when they are named. of is nil when the caller may not see them.
func readMasked(ctx context.Context, mask *fieldmaskpb.FieldMask, c *apiv1.Container, of system.Attributes) (err error) {
	paths := mask.GetPaths()
	if len(paths) == 0 {
		return nil
	}
	all := slices.Contains(paths, "*")
	fields := c.ProtoReflect().Descriptor().Fields()
	for _, path := range paths {
		if path != "*" && fields.ByName(protoreflect.Name(path)) == nil {
			return fault.Invalid("read_mask", c.GetLabel(), "read_mask names %.64q, which is no field of a container; it can name * for all of them", path)
		}
	}
	if of != nil && (all || slices.Contains(paths, attributesPath) || slices.Contains(paths, "etag")) {
		if c.Attributes, c.Etag, err = attributesOf(ctx, of); err != nil {
			return err
		}
	}
	c.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !all && !slices.Contains(paths, string(f.Name())) {
			c.ProtoReflect().Clear(f)
		}
		return true
	})
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// jsonMarshaler is proto3's JSON, with every field that is not a message. A body is one value, without fields that nobody knows.
type jsonMarshaler struct{ runtime.JSONPb }

func newJSON() *jsonMarshaler {
	return &jsonMarshaler{runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true}}}
}

// ContentType implements runtime.Marshaler.
func (*jsonMarshaler) ContentType(any) string { return typeJSON }

// StreamContentType implements runtime.StreamContentType.
func (*jsonMarshaler) StreamContentType(any) string { return typeLines }

// NewDecoder implements runtime.Marshaler. What follows the value is an error, too.
func (j *jsonMarshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		text, err := io.ReadAll(r) // bounded by the call whose body it is
		if err != nil {
			return err
		}
		if len(text) == 0 {
			return io.EOF // no body is an empty message
		}
		if m, ok := v.(proto.Message); ok {
			return protojson.Unmarshal(text, m)
		}
		if !json.Valid(text) { // for a field of a message, which the library would stop after
			return errors.New("the body is not one JSON value")
		}
		return j.Unmarshal(text, v)
	})
}

// raw is a value by itself: the body of a Put, and the answer of a Get. All other answers are JSON.
type raw struct{ *jsonMarshaler }

// ContentType implements runtime.Marshaler.
func (r raw) ContentType(v any) string {
	if _, ok := v.(*apiv1.GetResponse); ok {
		return typeBytes
	}
	return r.jsonMarshaler.ContentType(v)
}

// Marshal implements runtime.Marshaler.
func (r raw) Marshal(v any) ([]byte, error) {
	if get, ok := v.(*apiv1.GetResponse); ok {
		return get.GetValue(), nil
	}
	return r.jsonMarshaler.Marshal(v)
}

// NewDecoder implements runtime.Marshaler.
func (r raw) NewDecoder(body io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		put, ok := v.(*apiv1.PutRequest)
		if !ok {
			return errors.New("only the value of a key is a body of " + typeBytes)
		}
		value, err := io.ReadAll(body)
		if err != nil {
			return fmt.Errorf("the body: %w", err)
		}
		put.Value = value
		return nil
	})
}

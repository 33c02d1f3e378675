// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/tarn-storage/tarn/go/api/v1" // its messages are found by their names
)

// timeout of one call.
const timeout = 20 * time.Second

// run is why the vector failed, or nil.
func (v vector) run(conn *grpc.ClientConn, ignored []string) error {
	container := os.Getenv("TARN_CONTAINER")
	pool, label, _ := strings.Cut(container, "/")
	names := map[string]string{"pool": pool, "label": label, "cont": container, "uuid": os.Getenv("TARN_UUID")}
	for i, s := range v.Steps {
		if err := s.run(conn, names, ignored); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, s.Call, err)
		}
	}
	return nil
}

func (s step) run(conn *grpc.ClientConn, names map[string]string, ignored []string) error {
	method, err := s.method()
	if err != nil {
		return err
	}
	requests, err := s.messages(method.Input(), s.sent(), names)
	if err != nil {
		return err
	}
	answers, err := s.call(conn, method, requests)
	if status, ok := status.FromError(err); err != nil && ok {
		return s.checkError(status, names)
	}
	if err != nil {
		return err
	}
	if s.Error != nil {
		return fmt.Errorf("it succeeded, and should have failed with %s", s.Error.Reason)
	}
	return s.checkAnswers(method.Output(), answers, names, ignored)
}

func (s step) method() (protoreflect.MethodDescriptor, error) {
	service, name, _ := strings.Cut(s.Call, "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("tarn.v1." + service))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", service, err)
	}
	if described, ok := found.(protoreflect.ServiceDescriptor); ok {
		if method := described.Methods().ByName(protoreflect.Name(name)); method != nil {
			return method, nil
		}
	}
	return nil, fmt.Errorf("there is no call %s", s.Call)
}

func (s step) sent() []any {
	if s.Requests != nil {
		return s.Requests
	}
	if s.Request != nil {
		return []any{s.Request}
	}
	return []any{map[string]any{}}
}

// messages makes messages of a type out of JSON; a field that the type has not is an error.
func (s step) messages(of protoreflect.MessageDescriptor, values []any, names map[string]string) ([]proto.Message, error) {
	var all []proto.Message
	for _, value := range values {
		value, err := filled(value, names)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		message, err := newMessage(of)
		if err != nil {
			return nil, err
		}
		if err := protojson.Unmarshal(text, message); err != nil {
			return nil, err
		}
		all = append(all, message)
	}
	return all, nil
}

func newMessage(of protoreflect.MessageDescriptor) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(of.FullName())
	if err != nil {
		return nil, err
	}
	return t.New().Interface(), nil
}

// credential is the context of who calls.
func (s step) credential(ctx context.Context) (context.Context, error) {
	role := s.As
	switch role {
	case "nobody":
		return ctx, nil
	case "forged":
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer forged"), nil
	case "":
		role = "admin"
	}
	token, err := os.ReadFile(filepath.Join(os.Getenv("TARN_TOKENS"), role))
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token))), err
}

// call sends the requests, and returns what is answered. A unary call is a stream of one message each way.
func (s step) call(conn *grpc.ClientConn, method protoreflect.MethodDescriptor, requests []proto.Message) ([]proto.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ctx, err := s.credential(ctx)
	if err != nil {
		return nil, err
	}
	desc := grpc.StreamDesc{ServerStreams: method.IsStreamingServer(), ClientStreams: method.IsStreamingClient()}
	stream, err := conn.NewStream(ctx, &desc, fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name()))
	if err != nil {
		return nil, err
	}
	for _, request := range requests {
		if err := stream.SendMsg(request); err != nil {
			break // the status comes with the answer
		}
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	return receive(stream, method)
}

func receive(stream grpc.ClientStream, method protoreflect.MethodDescriptor) ([]proto.Message, error) {
	var answers []proto.Message
	for {
		answer, err := newMessage(method.Output())
		if err != nil {
			return nil, err
		}
		err = stream.RecvMsg(answer)
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
		if !method.IsStreamingServer() {
			return answers, nil
		}
	}
}

// asJSON is a list of messages as decoded from the JSON that protobuf writes of them.
func asJSON(messages []proto.Message) ([]any, error) {
	all := make([]any, len(messages))
	for i, message := range messages {
		text, err := protojson.Marshal(message)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s step) checkAnswers(of protoreflect.MessageDescriptor, answers []proto.Message, names map[string]string, ignored []string) error {
	found, err := asJSON(answers)
	if err != nil {
		return err
	}
	if expected, said := s.expected(); said {
		if err := s.compare(of, found, expected, names, ignored); err != nil {
			return err
		}
	}
	for name, path := range s.Save {
		if names[name], err = at(found[0], path); err != nil {
			return err
		}
	}
	return nil
}

// expected are the messages of the answer; said is false when the vector says nothing of them.
func (s step) expected() (messages []any, said bool) {
	if s.Answers != nil {
		return *s.Answers, true
	}
	if s.Answer != nil {
		return []any{s.Answer}, true
	}
	return nil, false
}

func (s step) compare(of protoreflect.MessageDescriptor, found, expected []any, names map[string]string, ignored []string) error {
	messages, err := s.messages(of, expected, names)
	if err != nil {
		return err
	}
	wanted, err := asJSON(messages)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(without(found, ignored), without(wanted, ignored)) {
		return fmt.Errorf("answered %.400v, wanted %.400v", fmt.Sprint(found), fmt.Sprint(wanted))
	}
	return nil
}

// at is the field that a path such as "snapshot.epoch" names.
func at(value any, path string) (string, error) {
	for part := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok || object[part] == nil {
			return "", fmt.Errorf("the answer has no %s", path)
		}
		value = object[part]
	}
	return fmt.Sprint(value), nil
}

func (s step) checkError(found *status.Status, names map[string]string) error {
	if s.Error == nil {
		return fmt.Errorf("failed: %s %s", found.Code(), found.Message())
	}
	info := &errdetails.ErrorInfo{}
	for _, detail := range found.Details() {
		if is, ok := detail.(*errdetails.ErrorInfo); ok {
			info = is
		}
	}
	same := codeName(found.Code()) == s.Error.Code && info.Reason == s.Error.Reason && info.Domain == "tarn" && info.Metadata["rc"] == s.Error.RC
	for name, value := range s.Error.Metadata {
		wanted, err := text(value, names)
		same = same && err == nil && info.Metadata[name] == wanted
	}
	if !same {
		return fmt.Errorf("failed with %s %v, wanted %+v: %s", codeName(found.Code()), info, *s.Error, found.Message())
	}
	return nil
}

// codeName is the name that gRPC's specification has: NOT_FOUND.
func codeName(c codes.Code) string { return code.Code(c).String() }

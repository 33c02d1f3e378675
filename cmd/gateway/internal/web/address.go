// SPDX-License-Identifier: Apache-2.0

package web

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
)

// In an address a key is percent-encoded text: what grpc-gateway wants there is base64. So this happens to an address before:
//
//	.../keys/Rio%20de%20Janeiro     .../keys/UmlvIGRlIEphbmVpcm8=
//	.../keys/a/b                    .../keys/YS9i                    the rest of the path is the key
//	.../keys/n:increment            .../keys/bg==:increment          a verb is written out, a ':' of the key before such a word as %3A
//	?range.prefix=R                 ?range.prefix=Ug==

// keyAt is where a path has "keys" before a key: /v1/pools/P/containers/C/objects/O/keys/KEY.
const keyAt = 8

// keyVerbs are the verbs that a key can have, by method.
var keyVerbs = map[string]string{http.MethodGet: ":head", http.MethodPost: ":increment"}

// keyParameters are the parameters that are keys, or parts of them.
var keyParameters = map[string]bool{"range.prefix": true, "range.start": true, "range.end": true}

// address makes of a request's URL one that the routes understand.
func address(r *http.Request) error {
	parts := strings.Split(r.URL.EscapedPath(), "/")
	if len(parts) > keyAt+1 && parts[keyAt] == "keys" {
		rest := strings.Join(parts[keyAt+1:], "/")
		key, verb := strings.CutSuffix(rest, keyVerbs[r.Method])
		bytes, err := url.PathUnescape(key)
		if err != nil {
			return fault.Invalid("key", "", "the key in the path is not percent-encoded text: %v", err)
		}
		encoded := base64.URLEncoding.EncodeToString([]byte(bytes))
		if verb {
			encoded += keyVerbs[r.Method]
		}
		parts = append(parts[:keyAt+1:keyAt+1], encoded)
	}
	path := strings.Join(parts, "/")
	if strings.Contains(strings.ToUpper(path), "%2F") {
		return fault.Invalid("path", "", "the path has a %%2F in a name, and names have no '/'")
	}
	plainPath, err := url.PathUnescape(path)
	if err != nil {
		return fault.Invalid("path", "", "the path is not percent-encoded text: %v", err)
	}
	r.URL.Path, r.URL.RawPath = plainPath, path
	return parameters(r.URL)
}

func parameters(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fault.Invalid("query", "", "what follows the '?' is not a query: %v", err)
	}
	for name, values := range query {
		if !keyParameters[name] {
			continue
		}
		for i := range values {
			values[i] = base64.URLEncoding.EncodeToString([]byte(values[i]))
		}
	}
	u.RawQuery = query.Encode()
	return nil
}

// strict refuses a parameter that nobody knows: a condition that is misspelt must not become none.
type strict struct{ runtime.DefaultQueryParser }

// Parse implements runtime.QueryParameterParser.
func (s *strict) Parse(m proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	for name := range values {
		if !has(m.ProtoReflect().Descriptor(), strings.Split(name, ".")) {
			return fault.Invalid("query", "", "there is no parameter %q", name)
		}
	}
	return s.DefaultQueryParser.Parse(m, values, filter)
}

func has(m protoreflect.MessageDescriptor, path []string) bool {
	if m == nil {
		return false
	}
	f := m.Fields().ByName(protoreflect.Name(path[0]))
	if f == nil {
		f = m.Fields().ByJSONName(path[0])
	}
	return f != nil && (len(path) == 1 || has(f.Message(), path[1:]))
}

// collections are the words before the parts of a name.
var collections = []string{"pools", "containers", "objects"}

// named are the fields that a path sets, with the words before their parts.
var named = map[protoreflect.Name][]string{
	"pool": collections[:1], "container": collections[:2], "object": collections, "snapshot": {"pools", "containers", "snapshots"},
}

// plain gives a request the names that RPCs have: "tank/neo/stadium" for "pools/tank/containers/neo/objects/stadium".
func plain(req proto.Message) error {
	m := req.ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		words, ok := named[f.Name()]
		if !ok || f.Kind() != protoreflect.StringKind || f.IsList() {
			continue
		}
		name, ok := plainName(m.Get(f).String(), words)
		if !ok {
			return fault.Invalid(string(f.Name()), "", "%q is not a %s: write %s/NAME", m.Get(f).String(), f.Name(), strings.Join(words, "/NAME/"))
		}
		m.Set(f, protoreflect.ValueOfString(name))
	}
	return nil
}

func plainName(text string, words []string) (string, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 2*len(words) {
		return "", false
	}
	names := make([]string, len(words))
	for i, word := range words {
		if parts[2*i] != word || parts[2*i+1] == "" {
			return "", false
		}
		names[i] = parts[2*i+1]
	}
	if last := len(words) - 1; words[last] == "snapshots" {
		return strings.Join(names[:last], "/") + "@" + names[last], true
	}
	return strings.Join(names, "/"), true
}

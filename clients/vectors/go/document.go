// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// document is a file of vectors.
type document struct {
	Ignore  []string
	Vectors []vector
}

// vector is a sequence of calls.
type vector struct {
	Name  string
	Steps []step
}

// step is one call, and what it must do. Values are JSON as decoded by encoding/json.
type step struct {
	Call     string
	As       string
	Request  any
	Requests []any
	Answer   any
	Answers  *[]any // nil: not said, which differs from none
	Error    *wantedError
	Save     map[string]string
}

// wantedError is how a call must fail.
type wantedError struct {
	Code, Reason, RC string
	Metadata         map[string]string
}

func readDocument(path string) (document, error) {
	var doc document
	text, err := os.ReadFile(path)
	if err != nil {
		return doc, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&doc); err != nil {
		return doc, fmt.Errorf("%s: %w", path, err)
	}
	return doc, nil
}

var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

// text replaces each ${name}. A name that is not known is left, and no call takes that for what was meant.
func text(s string, names map[string]string) (string, error) {
	var unknown error
	out := placeholder.ReplaceAllStringFunc(s, func(found string) string {
		value, ok := names[found[2:len(found)-1]]
		if !ok {
			unknown = fmt.Errorf("%s was not saved", found)
		}
		return value
	})
	return out, unknown
}

// filled is a copy of a JSON value in which ${name} is replaced, and each form of bytes is base64.
func filled(value any, names map[string]string) (any, error) {
	switch v := value.(type) {
	case string:
		return text(v, names)
	case []any:
		return filledList(v, names)
	case map[string]any:
		if data, ok, err := asBytes(v, names); ok || err != nil {
			return base64.StdEncoding.EncodeToString(data), err
		}
		return filledObject(v, names)
	}
	return value, nil
}

func filledList(list []any, names map[string]string) (any, error) {
	out := make([]any, len(list))
	for i, item := range list {
		var err error
		if out[i], err = filled(item, names); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func filledObject(object map[string]any, names map[string]string) (any, error) {
	out := make(map[string]any, len(object))
	for key, item := range object {
		var err error
		if out[key], err = filled(item, names); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// asBytes is what {"$text": ...}, {"$hex": ...} or {"$fill": ..., "size": ...} stands for; ok says that it is one of them.
func asBytes(object map[string]any, names map[string]string) (data []byte, ok bool, err error) {
	if s, is := object["$text"].(string); is {
		s, err = text(s, names)
		return []byte(s), true, err
	}
	if s, is := object["$hex"].(string); is {
		data, err = hex.DecodeString(s)
		return data, true, err
	}
	fill, is := object["$fill"].(json.Number)
	if !is {
		return nil, false, nil
	}
	size, _ := object["size"].(json.Number)
	b, err := fill.Int64()
	if err != nil {
		return nil, true, err
	}
	n, err := size.Int64()
	return bytes.Repeat([]byte{byte(b)}, int(n)), true, err
}

// without is a copy without the fields of these names, at any depth.
func without(value any, ignored []string) any {
	switch v := value.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = without(item, ignored)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for key, item := range v {
			if !slices.Contains(ignored, key) {
				out[key] = without(item, ignored)
			}
		}
		return out
	}
	return value
}

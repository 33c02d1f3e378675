// SPDX-License-Identifier: Apache-2.0

package web

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzAddress: no address is too odd, and what is taken has one meaning: the path and its written form agree, and a key comes out as the
// bytes that went in.
func FuzzAddress(f *testing.F) {
	const keys = "/v1/pools/p/containers/c/objects/o/keys"
	for _, seed := range []string{"/", "", keys, keys + "/", keys + "/a/b:head", keys + "/%3Ahead?range.prefix=%00&x=1", "/v1/pools/%2F", "/%zz", keys + "/%zz", "?%zz"} {
		f.Add(seed, []byte("k"))
	}
	f.Fuzz(func(t *testing.T, target string, key []byte) {
		for _, method := range []string{"GET", "POST", "PUT"} {
			for _, text := range []string{target, keys + "/" + url.PathEscape(string(key))} {
				u, err := url.ParseRequestURI(text)
				if err != nil {
					continue
				}
				r := &http.Request{Method: method, URL: u}
				if err := address(r); err != nil {
					continue
				}
				if path, err := url.PathUnescape(r.URL.RawPath); err != nil || path != r.URL.Path || r.URL.EscapedPath() != r.URL.RawPath {
					t.Errorf("%s %q: %q is written %q, %v", method, text, r.URL.Path, r.URL.RawPath, err)
				}
			}
		}
		r := &http.Request{Method: "PUT", URL: &url.URL{RawPath: keys + "/" + url.PathEscape(string(key)), Path: keys + "/" + string(key)}}
		if err := address(r); err != nil {
			t.Fatalf("the key %q: %v", key, err)
		}
		got, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(r.URL.Path, keys+"/"))
		if err != nil || string(got) != string(key) {
			t.Errorf("the key %q became %q, %v", key, got, err)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package service

import (
	"encoding/base64"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
)

// page is what a list request asks for: so many items, those after a name.
type page struct {
	size  int
	after string
}

type pageRequest interface {
	GetPageSize() int32
	GetPageToken() string
}

// pageOf checks the page of a request. A token is the name of the last item of the page before.
func pageOf(req pageRequest) (page, error) {
	size := int(req.GetPageSize())
	switch {
	case size < 0:
		return page{}, fault.Invalid("page_size", "", "page_size is %d; it must be 0 to %d", size, PageMax)
	case size == 0:
		size = PageDefault
	}
	after, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err != nil {
		return page{}, fault.Invalid("page_token", "", "page_token is not one that this server gave; begin again without one")
	}
	return page{size: min(size, PageMax), after: string(after)}, nil
}

// visible is cut of those items that sees lets through. It looks at no more of them than the page needs.
func visible[T any](all []T, p page, name func(T) string, sees func(T) (bool, error)) (some []T, next string, err error) {
	for _, item := range all {
		if p.after != "" && name(item) <= p.after {
			continue
		}
		ok, err := sees(item)
		if err != nil {
			return nil, "", err
		}
		if ok && len(some) == p.size {
			return some, token(name(some[p.size-1])), nil
		}
		if ok {
			some = append(some, item)
		}
	}
	return some, "", nil
}

// token is the page_token that goes on after an item of that name.
func token(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

// cut returns the items of a page out of all, which are in the order of their names, and the token of the next page.
func cut[T any](all []T, p page, name func(T) string) ([]T, string) {
	first := 0
	for first < len(all) && p.after != "" && name(all[first]) <= p.after {
		first++
	}
	all = all[first:]
	if len(all) <= p.size {
		return all, ""
	}
	return all[:p.size], token(name(all[p.size-1]))
}

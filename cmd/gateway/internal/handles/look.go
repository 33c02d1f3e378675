// SPDX-License-Identifier: Apache-2.0

package handles

import "github.com/tarn-storage/tarn/go/system"

// EachPool calls f with each open pool. To look is not to use: a pool that is idle is closed no later for it.
func (c *Cache) EachPool(f func(p system.Pool)) {
	all := c.openPools()
	defer func() { // also when f panics
		for _, h := range all {
			h.unlook()
		}
	}()
	for _, h := range all {
		f(h.Pool)
	}
}

// openPools are the handles of pools that are open, each with one more user.
func (c *Cache) openPools() (all []*Handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.entries {
		if h.closing == nil && h.ref.Parent() == "" && h.isOpen() && h.err == nil {
			h.use()
			all = append(all, h)
		}
	}
	return all
}

// unlook ends what openPools began, as if it had not been.
func (h *Handle) unlook() {
	h.cache.mu.Lock()
	used := h.idleSince
	h.unuse()
	h.idleSince = used
	h.cache.mu.Unlock()
}

// SPDX-License-Identifier: Apache-2.0

//go:build !cgo

package device

// Package device binds a C library. Without cgo there is package client, which reaches the devices of a gateway's machine.
var _ = package_device_needs_cgo__set_CGO_ENABLED_1_and_install_gcc__or_use_go_client

// SPDX-License-Identifier: Apache-2.0

//go:build !cgo

package tarn

// Package tarn binds a C library. Without cgo there is package client, which reaches the same pools through a gateway.
var _ = package_tarn_needs_cgo__set_CGO_ENABLED_1_and_install_gcc__or_use_go_client

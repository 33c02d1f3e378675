# SPDX-License-Identifier: Apache-2.0
"""The messages and stubs of package tarn.v1, generated from proto/tarn/v1 by `make proto`."""

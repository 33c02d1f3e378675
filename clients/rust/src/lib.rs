// SPDX-License-Identifier: Apache-2.0

//! A client of tarn-gateway: the generated stubs in [`v1`], how a gateway is reached, and what an error says.
pub mod connect;
pub mod document;
pub mod failure;

/// The gateway's contract, generated from proto/tarn/v1.
#[allow(clippy::all, missing_docs)]
pub mod v1 {
    tonic::include_proto!("tarn.v1");
    include!(concat!(env!("OUT_DIR"), "/tarn.v1.serde.rs"));
}

/// What a program fails with.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

// SPDX-License-Identifier: Apache-2.0

//! Generates the stubs of proto/tarn/v1, and JSON for their messages. Everything is of crates: no protoc is needed.
use std::{env, error};

use prost::Message;

const FILES: [&str; 6] = ["admin", "container", "kv", "object", "pool", "snapshot"];

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-env-changed=TARN_PROTO");
    let proto = env::var("TARN_PROTO").unwrap_or("../../proto".into());
    println!("cargo:rerun-if-changed={proto}/tarn/v1");
    let described = protox::compile(FILES.map(|name| format!("tarn/v1/{name}.proto")), [&proto])?;
    // What is Google's comes from a crate.
    let mut config = tonic_prost_build::Config::new();
    config.compile_well_known_types().extern_path(".google.protobuf", "::pbjson_types");
    pbjson_build::Builder::new().register_descriptors(&described.encode_to_vec())?.build(&[".tarn"])?;
    tonic_prost_build::configure().build_server(false).compile_fds_with_config(described, config)?;
    Ok(())
}

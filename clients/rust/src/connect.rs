// SPDX-License-Identifier: Apache-2.0

//! How a gateway is reached: the endpoint, the authority and the token that the environment names, as for the command `tarn`.
//!
//! `TARN_ENDPOINT` is HOST:PORT, `TARN_TLS_CA` a PEM file with the authority of the gateway's certificate, `TARN_TOKEN_FILE` a file with a
//! bearer token.
use std::path::PathBuf;
use std::{env, fs};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Status};

use crate::Error;

/// The environment variable, which must be set.
pub fn setting(name: &str) -> Result<String, Error> {
    env::var(name).map_err(|_| format!("set {name}").into())
}

/// A channel over TLS that says nothing about who calls. Clones share the connection.
pub async fn channel() -> Result<Channel, Error> {
    let authority = Certificate::from_pem(fs::read(setting("TARN_TLS_CA")?)?);
    let endpoint = Channel::from_shared(format!("https://{}", setting("TARN_ENDPOINT")?))?;
    Ok(endpoint.tls_config(ClientTlsConfig::new().ca_certificate(authority))?.connect().await?)
}

/// Shows the token of a file with every call. The file is read anew for each: tokens are short-lived.
#[derive(Clone)]
pub struct Bearer {
    path: PathBuf,
}

impl Bearer {
    /// The token that `TARN_TOKEN_FILE` names.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self { path: setting("TARN_TOKEN_FILE")?.into() })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = fs::read_to_string(&self.path).map_err(|error| Status::unauthenticated(format!("the token cannot be read: {error}")))?;
        let value = authorization(token.trim()).map_err(|error| Status::unauthenticated(error.to_string()))?;
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

/// The value of the metadata "authorization" that shows a token.
pub fn authorization(token: &str) -> Result<MetadataValue<Ascii>, Error> {
    Ok(format!("Bearer {token}").parse()?)
}

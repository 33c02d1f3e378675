// SPDX-License-Identifier: Apache-2.0

//! What a call failed with: beside gRPC's code, the name and the number that the error has in DAOS.
use std::collections::HashMap;
use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt};

/// A failed call. What the gateway did not say itself (it was not reached) has no reason, and rc 0.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    /// DAOS's name: "DER_NONEXIST".
    pub reason: String,
    /// "tarn".
    pub domain: String,
    pub metadata: HashMap<String, String>,
    /// What was asked, what was found and what to do.
    pub message: String,
}

impl Failure {
    /// DAOS's number, "-1005".
    pub fn rc(&self) -> &str {
        self.metadata.get("rc").map_or("0", String::as_str)
    }

    /// gRPC's name, "NOT_FOUND".
    pub fn code_name(&self) -> String {
        let mut name = String::new();
        for letter in format!("{:?}", self.code).chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }
}

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let info = status.get_details_error_info().unwrap_or_else(|| ErrorInfo::new("", "", HashMap::new()));
        Self { code: status.code(), reason: info.reason, domain: info.domain, metadata: info.metadata, message: status.message().into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} ({}): {}", self.code_name(), self.reason, self.rc(), self.message)
    }
}

// SPDX-License-Identifier: Apache-2.0

// How a gateway is reached: the endpoint, the authority and the token that the environment names, as for the command `tarn`.
//
//   TARN_ENDPOINT    HOST:PORT, or unix:PATH, which needs neither of the others
//   TARN_TLS_CA      a PEM file with the authority of the gateway's certificate
//   TARN_TOKEN_FILE  a file with a bearer token, read anew for every call: tokens are short-lived
import * as grpc from '@grpc/grpc-js';
import * as loader from '@grpc/proto-loader';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const PACKAGE = join(__dirname, '..');
const PROTO = process.env['TARN_PROTO'] ?? join(PACKAGE, '../../proto');

/** The environment variable, which must be set. */
export function setting(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`set ${name}`);
  }
  return value;
}

/** What a .proto file defines; names are looked for in the contract and in what lies beside this client. 64-bit numbers are strings. */
export function load(files: string[], options: loader.Options = {}): loader.PackageDefinition {
  const includeDirs = [PROTO, join(PACKAGE, 'protos')];
  return loader.loadSync(files, { includeDirs, longs: String, enums: String, defaults: true, oneofs: true, ...options });
}

/** TLS with the given authority, and nothing about who calls. */
export function transport(): grpc.ChannelCredentials {
  return grpc.credentials.createSsl(readFileSync(setting('TARN_TLS_CA')));
}

/** The credentials of a channel. A Unix socket knows who calls by itself. */
export function credentials(endpoint: string): grpc.ChannelCredentials {
  return endpoint.startsWith('unix:') ? grpc.credentials.createInsecure() : grpc.credentials.combineChannelCredentials(transport(), bearer());
}

function bearer(): grpc.CallCredentials {
  const path = setting('TARN_TOKEN_FILE');
  return grpc.credentials.createFromMetadataGenerator((_, callback) => {
    readFile(path, 'ascii').then((token) => callback(null, authorization(token.trim())), callback);
  });
}

/** The metadata that shows a token. */
export function authorization(token: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

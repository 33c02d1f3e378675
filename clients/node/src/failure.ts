// SPDX-License-Identifier: Apache-2.0

// What a call failed with: beside gRPC's code, the name and the number that the error has in DAOS.
import * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { load } from './connect';
import type { ErrorInfo, ErrorInfo__Output } from './gen/google/rpc/ErrorInfo';
import type { Status, Status__Output } from './gen/google/rpc/Status';

const definitions = load(['google/rpc/status.proto', 'google/rpc/error_details.proto']);
const statusType = definitions['google.rpc.Status'] as MessageTypeDefinition<Status, Status__Output>;
const infoType = definitions['google.rpc.ErrorInfo'] as MessageTypeDefinition<ErrorInfo, ErrorInfo__Output>;

/** A failed call of the gateway. What the gateway did not say itself (it was not reached) has no reason, and rc 0. */
export interface Failure {
  /** gRPC's name: "NOT_FOUND". */
  code: string;
  /** DAOS's name: "DER_NONEXIST". */
  reason: string;
  /** "tarn". */
  domain: string;
  /** DAOS's number: -1005. */
  rc: number;
  metadata: Record<string, string>;
  /** What was asked, what was found and what to do. */
  message: string;
}

export function isCallError(error: unknown): error is grpc.ServiceError {
  return error instanceof Error && 'code' in error && 'metadata' in error && error.metadata instanceof grpc.Metadata;
}

/** What a call failed with. An error that is not of a call is thrown again. */
export function failure(error: unknown): Failure {
  if (!isCallError(error)) {
    throw error;
  }
  const info = errorInfo(error);
  const metadata = info?.metadata ?? {};
  return {
    code: grpc.status[error.code] ?? String(error.code), reason: info?.reason ?? '', domain: info?.domain ?? '', rc: Number(metadata['rc'] ?? 0),
    metadata, message: error.details,
  };
}

function errorInfo(error: grpc.ServiceError): ErrorInfo__Output | undefined {
  const bytes = error.metadata.get('grpc-status-details-bin')[0];
  if (!Buffer.isBuffer(bytes)) {
    return undefined;
  }
  for (const detail of statusType.deserialize(bytes).details) {
    if ('type_url' in detail && detail.type_url.endsWith('/google.rpc.ErrorInfo')) {
      return infoType.deserialize(detail.value);
    }
  }
  return undefined;
}

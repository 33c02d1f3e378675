// SPDX-License-Identifier: Apache-2.0
package org.tarn.example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;

/**
 * What a call failed with: beside gRPC's code, the name and the number that the error has in DAOS. What the gateway did not say itself (it
 * was not reached) has an empty {@code info}.
 *
 * @param code gRPC's name: NOT_FOUND
 * @param info the reason, DAOS's name (DER_NONEXIST); the domain, "tarn"; as metadata "rc", DAOS's number (-1005)
 * @param message what was asked, what was found and what to do
 */
record Failure(Status.Code code, ErrorInfo info, String message) {
  /** What an exception of a call says. */
  static Failure of(Throwable error) throws InvalidProtocolBufferException {
    Status status = Status.fromThrowable(error);
    ErrorInfo info = ErrorInfo.getDefaultInstance();
    com.google.rpc.Status details = StatusProto.fromThrowable(error);
    for (Any detail : details == null ? java.util.List.<Any>of() : details.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        info = detail.unpack(ErrorInfo.class);
      }
    }
    return new Failure(status.getCode(), info, status.getDescription());
  }

  String rc() {
    return info.getMetadataOrDefault("rc", "0");
  }

  @Override
  public String toString() {
    return code + " " + info.getReason() + " (" + rc() + "): " + message;
  }
}

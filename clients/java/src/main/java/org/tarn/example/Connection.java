// SPDX-License-Identifier: Apache-2.0
package org.tarn.example;

import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executor;

/**
 * How a gateway is reached: the endpoint, the authority and the token that the environment names, as for the command {@code tarn}.
 *
 * <p>{@code TARN_ENDPOINT} is HOST:PORT, {@code TARN_TLS_CA} a PEM file with the authority of the gateway's certificate, {@code
 * TARN_TOKEN_FILE} a file with a bearer token.
 */
final class Connection {
  private static final Metadata.Key<String> AUTHORIZATION = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private Connection() {}

  /** The environment variable, which must be set. */
  static String setting(String name) {
    String value = System.getenv(name);
    if (value == null || value.isEmpty()) {
      throw new IllegalStateException("set " + name);
    }
    return value;
  }

  /** A channel that shows the token with every call. The caller shuts it down. */
  static ManagedChannel open() throws IOException {
    CallCredentials bearer = new Bearer(Path.of(setting("TARN_TOKEN_FILE")));
    return Grpc.newChannelBuilder(setting("TARN_ENDPOINT"), CompositeChannelCredentials.create(transport(), bearer)).build();
  }

  /** A channel that says nothing about who calls. The caller shuts it down. */
  static ManagedChannel openWithoutToken() throws IOException {
    return Grpc.newChannelBuilder(setting("TARN_ENDPOINT"), transport()).build();
  }

  private static ChannelCredentials transport() throws IOException {
    return TlsChannelCredentials.newBuilder().trustManager(new File(setting("TARN_TLS_CA"))).build();
  }

  /** The metadata that shows a token. */
  static Metadata authorization(String token) {
    Metadata metadata = new Metadata();
    metadata.put(AUTHORIZATION, "Bearer " + token);
    return metadata;
  }

  /** Sends the token of a file, read anew for every call: tokens are short-lived. */
  private static final class Bearer extends CallCredentials {
    private final Path path;

    Bearer(Path path) {
      this.path = path;
    }

    @Override
    public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
      executor.execute(() -> {
        try {
          applier.apply(authorization(Files.readString(path).trim()));
        } catch (IOException e) {
          applier.fail(Status.UNAUTHENTICATED.withDescription("the token cannot be read").withCause(e));
        }
      });
    }
  }
}

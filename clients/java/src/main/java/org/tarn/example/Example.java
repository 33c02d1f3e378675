// SPDX-License-Identifier: Apache-2.0
package org.tarn.example;

import com.google.protobuf.ByteString;
import io.grpc.ManagedChannel;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import tarn.v1.KeyValueServiceGrpc;
import tarn.v1.Kv.BulkLoadHeader;
import tarn.v1.Kv.BulkLoadRequest;
import tarn.v1.Kv.BulkLoadResponse;
import tarn.v1.Kv.ChecksumType;
import tarn.v1.Kv.DeleteRequest;
import tarn.v1.Kv.GetRequest;
import tarn.v1.Kv.GetStreamRequest;
import tarn.v1.Kv.GetStreamResponse;
import tarn.v1.Kv.KeyRange;
import tarn.v1.Kv.PutEntry;
import tarn.v1.Kv.PutRequest;
import tarn.v1.Kv.PutStreamCommit;
import tarn.v1.Kv.PutStreamHeader;
import tarn.v1.Kv.PutStreamRequest;
import tarn.v1.Kv.PutStreamResponse;
import tarn.v1.Kv.ScanEntry;
import tarn.v1.Kv.ScanRequest;
import tarn.v1.Kv.ScanResponse;
import tarn.v1.Kv.WatchChange;
import tarn.v1.Kv.WatchRequest;
import tarn.v1.Kv.WatchResponse;
import tarn.v1.ObjectOuterClass.CreateObjectRequest;
import tarn.v1.ObjectServiceGrpc;

/**
 * A tour of the gateway's data plane: {@code Example POOL/CONTAINER}. It needs a token of the role writer, makes the object "example-java", and
 * prints a line for each part.
 */
public final class Example {
  private static final int KEYS = 10_000;
  private static final int ENTRIES_A_MESSAGE = 1000;
  private static final int MIB = 1 << 20;
  private static final int STREAM_MIB = 64;

  private final KeyValueServiceGrpc.KeyValueServiceBlockingV2Stub kv;
  private final String object;

  private Example(ManagedChannel channel, String object) {
    this.kv = KeyValueServiceGrpc.newBlockingV2Stub(channel);
    this.object = object;
  }

  public static void main(String[] args) throws Exception {
    String container = args.length > 0 ? args[0] : "tank/neo";
    ManagedChannel channel = Connection.open();
    try {
      ObjectServiceGrpc.newBlockingV2Stub(channel)
          .createObject(CreateObjectRequest.newBuilder().setContainer(container).setName("example-java").build());
      new Example(channel, container + "/example-java").tour();
    } finally {
      channel.shutdown().awaitTermination(10, TimeUnit.SECONDS);
    }
  }

  private void tour() throws Exception {
    System.out.println("put and get: " + putAndGet());
    System.out.println("scan: " + scan());
    System.out.println("stream: " + stream());
    System.out.println("watch: " + watch());
    System.out.println("error: " + error());
  }

  private void put(String key, String value) throws StatusException {
    kv.put(PutRequest.newBuilder().setObject(object).setKey(bytes(key)).setValue(bytes(value)).build()); // durable when it is answered
  }

  private ByteString get(String key) throws StatusException {
    return kv.get(GetRequest.newBuilder().setObject(object).setKey(bytes(key)).build()).getValue();
  }

  private String putAndGet() throws StatusException {
    put("Barcelona", "Camp Nou");
    return "Barcelona plays at " + get("Barcelona").toStringUtf8();
  }

  /** Loads many entries by one stream, and lists them by another. */
  private String scan() throws Exception {
    BlockingClientCall<BulkLoadRequest, BulkLoadResponse> load = kv.bulkLoad();
    load.write(BulkLoadRequest.newBuilder().setHeader(BulkLoadHeader.newBuilder().setObject(object)).build());
    for (int from = 0; from < KEYS; from += ENTRIES_A_MESSAGE) {
      load.write(entries(from));
    }
    load.halfClose();
    check(load.read().getStored() == KEYS, "not all entries were stored");

    BlockingClientCall<?, ScanResponse> scan =
        kv.scan(ScanRequest.newBuilder().setObject(object).setRange(KeyRange.newBuilder().setPrefix(bytes("key-"))).build());
    int count = 0;
    for (ScanResponse batch = scan.read(); batch != null; batch = scan.read()) {
      for (ScanEntry entry : batch.getEntriesList()) {
        check(entry.getKey().equals(key(count)) && entry.getValue().toStringUtf8().equals(String.valueOf(count)), "entry " + count);
        count++;
      }
    }
    return count + " keys in order";
  }

  private static BulkLoadRequest entries(int from) {
    BulkLoadRequest.Builder message = BulkLoadRequest.newBuilder();
    for (int i = from; i < from + ENTRIES_A_MESSAGE; i++) {
      message.addEntries(PutEntry.newBuilder().setKey(key(i)).setValue(bytes(String.valueOf(i))));
    }
    return message.build();
  }

  private static ByteString key(int n) {
    return bytes(String.format("key-%05d", n));
  }

  /** Stores 64 MiB and reads them, each way with a checksum; neither side ever holds more than a few messages. */
  private String stream() throws Exception {
    long size = putLarge();
    BlockingClientCall<?, GetStreamResponse> call = kv.getStream(
        GetStreamRequest.newBuilder().setObject(object).setKey(bytes("large")).setChecksumType(ChecksumType.CHECKSUM_TYPE_SHA256).build());
    MessageDigest hash = MessageDigest.getInstance("SHA-256");
    ByteString checksum = ByteString.EMPTY;
    for (GetStreamResponse message = call.read(); message != null; message = call.read()) {
      hash.update(message.getData().asReadOnlyByteBuffer());
      checksum = message.hasTrailer() ? message.getTrailer().getChecksum() : checksum;
    }
    byte[] digest = hash.digest();
    check(checksum.equals(ByteString.copyFrom(digest)), "the value is not whole: its checksum is another");
    return size + " bytes, sha256 " + HexFormat.of().formatHex(digest);
  }

  /** Sends a header, the bytes, and the checksum that makes them visible. write waits while the connection is full. */
  private long putLarge() throws Exception {
    BlockingClientCall<PutStreamRequest, PutStreamResponse> call = kv.putStream();
    call.write(PutStreamRequest.newBuilder()
        .setHeader(PutStreamHeader.newBuilder().setObject(object).setKey(bytes("large")).setSize((long) STREAM_MIB * MIB)
            .setChecksumType(ChecksumType.CHECKSUM_TYPE_SHA256))
        .build());
    MessageDigest hash = MessageDigest.getInstance("SHA-256");
    byte[] data = new byte[MIB];
    for (int i = 0; i < STREAM_MIB; i++) {
      for (int j = 0; j < MIB; j++) {
        data[j] = (byte) ((i + j) % 251);
      }
      hash.update(data);
      call.write(PutStreamRequest.newBuilder().setData(ByteString.copyFrom(data)).build());
    }
    call.write(PutStreamRequest.newBuilder().setCommit(PutStreamCommit.newBuilder().setChecksum(ByteString.copyFrom(hash.digest()))).build());
    call.halfClose();
    return call.read().getSize();
  }

  /** Follows the changes of a prefix. */
  private String watch() throws Exception {
    BlockingClientCall<?, WatchResponse> call =
        kv.withDeadlineAfter(60, TimeUnit.SECONDS).watch(WatchRequest.newBuilder().setObject(object).setPrefix(bytes("watched-")).build());
    try {
      return follow(call);
    } finally {
      call.cancel("seen enough", null);
    }
  }

  /** The first message says where the stream begins: what is changed after it is seen. */
  private String follow(BlockingClientCall<?, WatchResponse> call) throws Exception {
    List<WatchChange> seen = new ArrayList<>(call.read().getChangesList());
    put("watched-a", "1");
    put("watched-b", "2");
    put("watched-a", "3");
    kv.delete(DeleteRequest.newBuilder().setObject(object).setKey(bytes("watched-b")).build());
    while (seen.size() < 4) {
      seen.addAll(call.read().getChangesList());
    }
    StringBuilder story = new StringBuilder();
    long last = 0;
    for (WatchChange change : seen) {
      check(Long.compareUnsigned(change.getRevision(), last) > 0, "the changes are not in order");
      last = change.getRevision();
      story.append(change.getKey().toStringUtf8()).append(change.getDeleted() ? " removed; " : "=" + change.getValue().toStringUtf8() + "; ");
    }
    check(story.toString().equals("watched-a=1; watched-b=2; watched-a=3; watched-b removed; "), "watched " + story);
    return seen.size() + " changes in order";
  }

  private String error() throws Exception {
    try {
      get("none");
    } catch (StatusException e) {
      return Failure.of(e).toString();
    }
    throw new IllegalStateException("a key that is absent was found");
  }

  private static ByteString bytes(String text) {
    return ByteString.copyFromUtf8(text);
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalStateException(otherwise);
    }
  }
}

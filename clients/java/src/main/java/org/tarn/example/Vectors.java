// SPDX-License-Identifier: Apache-2.0
package org.tarn.example;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.ServiceDescriptor;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.tarn.example.Document.Step;
import org.tarn.example.Document.WantedError;
import tarn.v1.AdminServiceGrpc;
import tarn.v1.ContainerServiceGrpc;
import tarn.v1.KeyValueServiceGrpc;
import tarn.v1.ObjectServiceGrpc;
import tarn.v1.PoolServiceGrpc;
import tarn.v1.SnapshotServiceGrpc;

/**
 * Runs conformance vectors: {@code Vectors FILE.json...} A line for each vector, "ok NAME" or "not ok NAME: why", and the exit status 1 when one
 * is not ok. The gateway and who calls come from TARN_ENDPOINT, TARN_TLS_CA and TARN_TOKENS, the container to work in from TARN_CONTAINER, a new
 * UUID from TARN_UUID.
 */
public final class Vectors {
  private static final long TIMEOUT_S = 20;
  private static final Map<String, MethodDescriptor<Message, Message>> METHODS = methods(
      AdminServiceGrpc.getServiceDescriptor(), PoolServiceGrpc.getServiceDescriptor(), ContainerServiceGrpc.getServiceDescriptor(),
      ObjectServiceGrpc.getServiceDescriptor(), KeyValueServiceGrpc.getServiceDescriptor(), SnapshotServiceGrpc.getServiceDescriptor());

  private final Channel channel;
  private final List<String> ignored;
  private final Map<String, String> names = new HashMap<>();

  private Vectors(Channel channel, List<String> ignored) {
    this.channel = channel;
    this.ignored = ignored;
    String container = Connection.setting("TARN_CONTAINER");
    String[] labels = container.split("/", 2);
    names.putAll(Map.of("pool", labels[0], "label", labels[1], "cont", container, "uuid", Connection.setting("TARN_UUID")));
  }

  public static void main(String[] files) throws Exception {
    boolean bad = false;
    ManagedChannel channel = Connection.openWithoutToken();
    for (String file : files) {
      Document document = new Gson().fromJson(Files.readString(Path.of(file)), Document.class);
      for (Document.Vector vector : document.vectors) {
        String why = new Vectors(channel, document.ignore).run(vector);
        System.out.println(why == null ? "ok " + vector.name : "not ok " + vector.name + ": " + why);
        bad |= why != null;
      }
    }
    channel.shutdown().awaitTermination(10, TimeUnit.SECONDS);
    System.exit(bad ? 1 : 0);
  }

  /** All methods of the services, by "KeyValueService/Get". */
  @SuppressWarnings("unchecked") // the generated descriptors are of messages
  private static Map<String, MethodDescriptor<Message, Message>> methods(ServiceDescriptor... services) {
    Map<String, MethodDescriptor<Message, Message>> all = new HashMap<>();
    Stream.of(services).flatMap(service -> service.getMethods().stream())
        .forEach(method -> all.put(method.getFullMethodName().substring("tarn.v1.".length()), (MethodDescriptor<Message, Message>) method));
    return all;
  }

  /** Why the vector failed, or null. */
  private String run(Document.Vector vector) {
    for (int i = 0; i < vector.steps.size(); i++) {
      Step step = vector.steps.get(i);
      try {
        run(step);
      } catch (Exception e) {
        return "step " + (i + 1) + ", " + step.call + ": " + e.getMessage();
      }
    }
    return null;
  }

  private void run(Step step) throws Exception {
    MethodDescriptor<Message, Message> method = METHODS.get(step.call);
    if (method == null) {
      throw new IllegalArgumentException("there is no call " + step.call);
    }
    List<Message> requests = new ArrayList<>();
    for (JsonElement request : step.sent()) {
      requests.add(message(method.getRequestMarshaller(), request));
    }
    List<Message> answers;
    try {
      answers = send(method, step.as, requests);
    } catch (StatusException e) {
      checkError(Failure.of(e), step.error);
      return;
    }
    if (step.error != null) {
      throw new IllegalStateException("it succeeded, and should have failed with " + step.error.reason);
    }
    checkAnswers(step, method, answers);
  }

  /** The message that the JSON describes; a field that the message has not is an error. */
  private Message message(MethodDescriptor.Marshaller<Message> of, JsonElement json) throws Exception {
    Message prototype = ((MethodDescriptor.PrototypeMarshaller<Message>) of).getMessagePrototype();
    Message.Builder builder = prototype.newBuilderForType();
    JsonFormat.parser().merge(Document.filled(json, names).toString(), builder);
    return builder.build();
  }

  /** Sends the requests, and returns the messages of the answer. */
  private List<Message> send(MethodDescriptor<Message, Message> method, String role, List<Message> requests) throws Exception {
    CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(TIMEOUT_S, TimeUnit.SECONDS);
    if (method.getType() == MethodDescriptor.MethodType.UNARY) {
      return List.of(ClientCalls.blockingV2UnaryCall(as(role), method, options, requests.get(0)));
    }
    BlockingClientCall<?, Message> call = method.getType() == MethodDescriptor.MethodType.SERVER_STREAMING
        ? ClientCalls.blockingV2ServerStreamingCall(as(role), method, options, requests.get(0))
        : sendAll(ClientCalls.blockingBidiStreamingCall(as(role), method, options), requests);
    List<Message> answers = new ArrayList<>();
    for (Message answer = call.read(); answer != null; answer = call.read()) {
      answers.add(answer);
    }
    return answers;
  }

  private static BlockingClientCall<Message, Message> sendAll(BlockingClientCall<Message, Message> call, List<Message> requests) throws Exception {
    for (Message request : requests) {
      call.write(request); // not taken when the call has failed: read says so
    }
    call.halfClose();
    return call;
  }

  private Channel as(String role) throws Exception {
    if (role.equals("nobody")) {
      return channel;
    }
    String token = role.equals("forged") ? role : Files.readString(Path.of(Connection.setting("TARN_TOKENS"), role)).trim();
    return ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(Connection.authorization(token)));
  }

  private void checkAnswers(Step step, MethodDescriptor<Message, Message> method, List<Message> answers) throws Exception {
    JsonArray found = json(answers);
    if (step.expected() != null) {
      List<Message> expected = new ArrayList<>();
      for (JsonElement message : step.expected()) {
        expected.add(message(method.getResponseMarshaller(), message));
      }
      JsonArray wanted = json(expected);
      if (!Document.without(found, ignored).equals(Document.without(wanted, ignored))) {
        throw new IllegalStateException(String.format("answered %.400s, wanted %.400s", found, wanted));
      }
    }
    step.save.forEach((name, path) -> names.put(name, Document.at(found.get(0), path)));
  }

  private static JsonArray json(List<Message> messages) throws Exception {
    JsonArray all = new JsonArray();
    for (Message message : messages) {
      all.add(JsonParser.parseString(JsonFormat.printer().print(message)));
    }
    return all;
  }

  private void checkError(Failure found, WantedError wanted) {
    if (wanted == null) {
      throw new IllegalStateException("failed: " + found);
    }
    boolean same = found.code().name().equals(wanted.code) && found.info().getReason().equals(wanted.reason)
        && found.info().getDomain().equals("tarn") && found.rc().equals(wanted.rc);
    for (Map.Entry<String, String> item : wanted.metadata.entrySet()) {
      same &= Document.text(item.getValue(), names).equals(found.info().getMetadataMap().get(item.getKey()));
    }
    if (!same) {
      throw new IllegalStateException("failed with " + found + ", wanted " + wanted.code + " " + wanted.reason + " " + wanted.rc + " " + wanted.metadata);
    }
  }
}

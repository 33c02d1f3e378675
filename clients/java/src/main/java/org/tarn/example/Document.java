// SPDX-License-Identifier: Apache-2.0
package org.tarn.example;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A file of conformance vectors, as clients/vectors/README.md describes it; Gson fills it. */
final class Document {
  private static final Pattern NAME = Pattern.compile("\\$\\{(\\w+)}");

  List<String> ignore;
  List<Vector> vectors;

  static final class Vector {
    String name;
    List<Step> steps;
  }

  static final class Step {
    String call;
    String as = "admin";
    JsonElement request = new JsonObject();
    List<JsonElement> requests;
    JsonElement answer;
    List<JsonElement> answers;
    WantedError error;
    Map<String, String> save = Map.of();

    List<JsonElement> sent() {
      return requests != null ? requests : List.of(request);
    }

    /** The messages of the answer; null when the vector says nothing of them. */
    List<JsonElement> expected() {
      return answers != null || answer == null ? answers : List.of(answer);
    }
  }

  static final class WantedError {
    String code;
    String reason;
    String rc;
    Map<String, String> metadata = Map.of();
  }

  /** The text with each ${name} replaced. */
  static String text(String value, Map<String, String> names) {
    return NAME.matcher(value).replaceAll((MatchResult found) -> {
      String known = names.get(found.group(1));
      if (known == null) {
        throw new IllegalArgumentException(found.group(1) + " was not saved");
      }
      return Matcher.quoteReplacement(known);
    });
  }

  /** A copy in which each ${name} is replaced, and each form of bytes is base64. */
  static JsonElement filled(JsonElement value, Map<String, String> names) {
    if (value.isJsonPrimitive() && value.getAsJsonPrimitive().isString()) {
      return new JsonPrimitive(text(value.getAsString(), names));
    }
    if (value.isJsonArray()) {
      JsonArray copy = new JsonArray();
      value.getAsJsonArray().forEach(item -> copy.add(filled(item, names)));
      return copy;
    }
    if (!value.isJsonObject()) {
      return value;
    }
    byte[] bytes = bytes(value.getAsJsonObject(), names);
    if (bytes != null) {
      return new JsonPrimitive(Base64.getEncoder().encodeToString(bytes));
    }
    JsonObject copy = new JsonObject();
    value.getAsJsonObject().entrySet().forEach(field -> copy.add(field.getKey(), filled(field.getValue(), names)));
    return copy;
  }

  private static byte[] bytes(JsonObject value, Map<String, String> names) {
    if (value.has("$text")) {
      return text(value.get("$text").getAsString(), names).getBytes(StandardCharsets.UTF_8);
    }
    if (value.has("$hex")) {
      return HexFormat.of().parseHex(value.get("$hex").getAsString());
    }
    if (!value.has("$fill")) {
      return null;
    }
    byte[] all = new byte[value.get("size").getAsInt()];
    Arrays.fill(all, value.get("$fill").getAsByte());
    return all;
  }

  /** A copy without the fields of these names, at any depth. */
  static JsonElement without(JsonElement value, List<String> ignored) {
    if (value.isJsonArray()) {
      JsonArray copy = new JsonArray();
      value.getAsJsonArray().forEach(item -> copy.add(without(item, ignored)));
      return copy;
    }
    if (!value.isJsonObject()) {
      return value;
    }
    JsonObject copy = new JsonObject();
    for (Map.Entry<String, JsonElement> field : value.getAsJsonObject().entrySet()) {
      if (!ignored.contains(field.getKey())) {
        copy.add(field.getKey(), without(field.getValue(), ignored));
      }
    }
    return copy;
  }

  /** The field that a path such as "snapshot.epoch" names. */
  static String at(JsonElement value, String path) {
    for (String part : path.split("\\.")) {
      value = value.getAsJsonObject().get(part);
      if (value == null) {
        throw new IllegalArgumentException("the answer has no " + path);
      }
    }
    return value.getAsString();
  }
}

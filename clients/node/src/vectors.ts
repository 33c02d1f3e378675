// SPDX-License-Identifier: Apache-2.0

// Runs conformance vectors: vectors.js FILE.json... A line for each vector, "ok NAME" or "not ok NAME: why", and the exit status 1 when one
// is not ok. The gateway and who calls come from TARN_ENDPOINT, TARN_TLS_CA and TARN_TOKENS, the container to work in from TARN_CONTAINER,
// a new UUID from TARN_UUID.
import * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition, MethodDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { authorization, load, setting, transport } from './connect';
import { at, filled, without, type Document, type Json, type Names, type Step, type Vector, type WantedError } from './document';
import { failure, isCallError } from './failure';

const TIMEOUT_MS = 20_000;
const FILES = ['admin', 'container', 'kv', 'object', 'pool', 'snapshot'].map((name) => `tarn/v1/${name}.proto`);

// With these options messages are what protobuf's JSON is: bytes are base64, and what has its default is absent.
const definitions = load(FILES, { bytes: String, defaults: false, oneofs: false });
const client = new grpc.Client(setting('TARN_ENDPOINT'), transport());

type Method = MethodDefinition<object, object>;

function method(call: string): Method {
  const [service, name] = call.split('/');
  const found = (definitions[`tarn.v1.${service}`] as ServiceDefinition | undefined)?.[name ?? ''];
  if (!found) {
    throw new Error(`there is no call ${call}`);
  }
  return found;
}

function credential(role: string): grpc.Metadata {
  if (role === 'nobody') {
    return new grpc.Metadata();
  }
  return authorization(role === 'forged' ? 'forged' : readFileSync(join(setting('TARN_TOKENS'), role), 'ascii').trim());
}

/** Sends the requests, and returns the messages of the answer. A unary call is a stream of one message each way. */
async function send(to: Method, role: string, requests: object[]): Promise<Json[]> {
  const options = { deadline: Date.now() + TIMEOUT_MS };
  const call = client.makeBidiStreamRequest(to.path, to.requestSerialize, to.responseDeserialize, credential(role), options);
  requests.forEach((request) => call.write(request));
  call.end();
  const answers: Json[] = [];
  for await (const answer of call) {
    answers.push(answer as Json);
  }
  return answers;
}

/** The JSON as the message type has it. */
function canonical(type: MessageTypeDefinition<object, object>, value: Json): Json {
  return type.deserialize(type.serialize(value as object)) as Json;
}

function checkError(error: unknown, wanted: WantedError | undefined, names: Names): void {
  const found = failure(error);
  if (!wanted) {
    throw new Error(`failed: ${found.code} ${found.reason}: ${found.message}`);
  }
  const metadata = Object.entries(wanted.metadata ?? {}).every(([name, value]) => found.metadata[name] === filled(value, names));
  if (found.code !== wanted.code || found.reason !== wanted.reason || found.domain !== 'tarn' || found.metadata['rc'] !== wanted.rc || !metadata) {
    throw new Error(`failed with ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
  }
}

function checkAnswers(step: Step, type: MessageTypeDefinition<object, object>, found: Json[], names: Names, ignored: string[]): void {
  const expected = step.answers ?? (step.answer === undefined ? undefined : [step.answer]);
  const wanted = expected?.map((message) => canonical(type, filled(message, names)));
  if (wanted && !isDeepStrictEqual(without(found, ignored), without(wanted, ignored))) {
    throw new Error(`answered ${JSON.stringify(found).slice(0, 400)}, wanted ${JSON.stringify(wanted).slice(0, 400)}`);
  }
  for (const [name, path] of Object.entries(step.save ?? {})) {
    names.set(name, at(found[0] ?? null, path));
  }
}

async function runStep(step: Step, names: Names, ignored: string[]): Promise<void> {
  const to = method(step.call);
  const requests = (step.requests ?? [step.request ?? {}]).map((request) => filled(request, names) as object);
  let found: Json[];
  try {
    found = await send(to, step.as ?? 'admin', requests);
  } catch (error) {
    if (!isCallError(error)) {
      throw error;
    }
    checkError(error, step.error, names);
    return;
  }
  if (step.error) {
    throw new Error(`it succeeded, and should have failed with ${step.error.reason}`);
  }
  checkAnswers(step, to.responseType, found, names, ignored);
}

/** Why the vector failed, or nothing. */
async function runVector(vector: Vector, ignored: string[]): Promise<string | undefined> {
  const cont = setting('TARN_CONTAINER');
  const [pool, label] = cont.split('/') as [string, string];
  const names: Names = new Map([['pool', pool], ['label', label], ['cont', cont], ['uuid', setting('TARN_UUID')]]);
  for (const [i, step] of vector.steps.entries()) {
    try {
      await runStep(step, names, ignored);
    } catch (error) {
      return `step ${i + 1}, ${step.call}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}

async function main(files: string[]): Promise<void> {
  for (const file of files) {
    const document = JSON.parse(readFileSync(file, 'utf8')) as Document;
    for (const vector of document.vectors) {
      const why = await runVector(vector, document.ignore);
      console.log(why === undefined ? `ok ${vector.name}` : `not ok ${vector.name}: ${why}`);
      process.exitCode = why === undefined ? process.exitCode : 1;
    }
  }
  client.close();
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exit(2);
});

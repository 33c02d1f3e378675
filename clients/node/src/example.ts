// SPDX-License-Identifier: Apache-2.0

// A tour of the gateway's data plane: example.js POOL/CONTAINER. It needs a token of the role writer, makes the object "example-node", and
// prints a line for each part.
import * as grpc from '@grpc/grpc-js';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { credentials, load, setting } from './connect';
import { failure } from './failure';
import type { ProtoGrpcType as KvPackage } from './gen/kv';
import type { ProtoGrpcType as ObjectPackage } from './gen/object';
import type { BulkLoadRequest } from './gen/tarn/v1/BulkLoadRequest';
import type { PutStreamRequest } from './gen/tarn/v1/PutStreamRequest';
import type { WatchChange__Output } from './gen/tarn/v1/WatchChange';

const KEYS = 10_000;
const ENTRIES_A_MESSAGE = 1000;
const MIB = 1 << 20;
const STREAM_MIB = 64;

const contract = grpc.loadPackageDefinition(load(['tarn/v1/kv.proto', 'tarn/v1/object.proto'])) as unknown as KvPackage & ObjectPackage;
const endpoint = setting('TARN_ENDPOINT');
const channel = new grpc.Channel(endpoint, credentials(endpoint), {});
const shared = { channelOverride: channel };
const objects = new contract.tarn.v1.ObjectService(endpoint, credentials(endpoint), shared);
const kv = new contract.tarn.v1.KeyValueService(endpoint, credentials(endpoint), shared);

/** The answer of a call of one message each way. */
function answer<Request, Answer>(call: (request: Request, callback: grpc.requestCallback<Answer>) => unknown, request: Request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    call(request, (error, value) => (error ? reject(error) : resolve(value as Answer)));
  });
}

type Sending<Request, Answer> = (callback: grpc.requestCallback<Answer>) => grpc.ClientWritableStream<Request>;

/** The answer of a call that sends many messages. No more are made than the connection takes. */
function send<Request, Answer>(open: Sending<Request, Answer>, messages: Iterable<Request>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = open((error, value) => (error ? reject(error) : resolve(value as Answer)));
    const write = async (): Promise<void> => {
      for (const message of messages) {
        if (!call.write(message)) {
          await once(call, 'drain'); // never comes when the call fails: then the callback has said so
        }
      }
      call.end();
    };
    write().catch(reject);
  });
}

const create = objects.CreateObject.bind(objects);
const put = kv.Put.bind(kv);
const get = kv.Get.bind(kv);
const remove = kv.Delete.bind(kv);

async function putAndGet(object: string): Promise<string> {
  await answer(put, { object, key: Buffer.from('Barcelona'), value: Buffer.from('Camp Nou') }); // durable when it is answered
  const found = await answer(get, { object, key: Buffer.from('Barcelona') });
  return `Barcelona plays at ${found.value}`;
}

const keyName = (n: number): string => `key-${String(n).padStart(5, '0')}`;

function* manyEntries(object: string): Generator<BulkLoadRequest> {
  yield { header: { object } };
  for (let from = 0; from < KEYS; from += ENTRIES_A_MESSAGE) {
    const numbers = Array.from({ length: ENTRIES_A_MESSAGE }, (_, i) => from + i);
    yield { entries: numbers.map((n) => ({ key: Buffer.from(keyName(n)), value: Buffer.from(String(n)) })) };
  }
}

/** Loads many entries by one stream, and lists them by another. */
async function scan(object: string): Promise<string> {
  await send(kv.BulkLoad.bind(kv), manyEntries(object));
  let count = 0;
  for await (const batch of kv.Scan({ object, range: { prefix: Buffer.from('key-') } })) {
    for (const entry of batch.entries) {
      if (entry.key.toString() !== keyName(count) || entry.value?.toString() !== String(count)) {
        throw new Error(`entry ${count} is ${entry.key}`);
      }
      count++;
    }
  }
  return `${count} keys in order`;
}

/** The messages that store a large value: a header, the bytes, the checksum that makes them visible. */
function* largeValue(object: string, key: Buffer): Generator<PutStreamRequest> {
  yield { header: { object, key, size: STREAM_MIB * MIB, checksumType: 'CHECKSUM_TYPE_SHA256' } };
  const hash = createHash('sha256');
  for (let i = 0; i < STREAM_MIB; i++) {
    const data = Buffer.from(Uint8Array.from({ length: MIB }, (_, j) => (i + j) % 251));
    hash.update(data);
    yield { data };
  }
  yield { commit: { checksum: hash.digest() } };
}

/** Stores 64 MiB and reads them, each way with a checksum; neither side ever holds more than a few messages. */
async function stream(object: string): Promise<string> {
  const key = Buffer.from('large');
  const stored = await send(kv.PutStream.bind(kv), largeValue(object, key));
  const hash = createHash('sha256');
  let checksum: Buffer | undefined;
  for await (const message of kv.GetStream({ object, key, checksumType: 'CHECKSUM_TYPE_SHA256' })) {
    hash.update(message.data ?? Buffer.alloc(0));
    checksum ??= message.trailer?.checksum;
  }
  const digest = hash.digest();
  if (!checksum?.equals(digest)) {
    throw new Error('the value is not whole: its checksum is another');
  }
  return `${stored.size} bytes, sha256 ${digest.toString('hex')}`;
}

async function watchedChanges(object: string): Promise<void> {
  await answer(put, { object, key: Buffer.from('watched-a'), value: Buffer.from('1') });
  await answer(put, { object, key: Buffer.from('watched-b'), value: Buffer.from('2') });
  await answer(put, { object, key: Buffer.from('watched-a'), value: Buffer.from('3') });
  await answer(remove, { object, key: Buffer.from('watched-b') });
}

/** Follows the changes of a prefix. The first message says where the stream begins: what is changed after it is seen. */
async function watch(object: string): Promise<string> {
  const call = kv.Watch({ object, prefix: Buffer.from('watched-') }, { deadline: Date.now() + 60_000 });
  const seen: WatchChange__Output[] = [];
  let changing: Promise<void> | undefined;
  try {
    for await (const message of call) {
      changing ??= watchedChanges(object);
      seen.push(...message.changes);
      if (seen.length >= 4) {
        break;
      }
    }
  } finally {
    call.cancel();
  }
  await changing;
  const story = seen.map((change) => `${change.key}${change.deleted ? ' removed' : `=${change.value}`}`).join(', ');
  const ordered = seen.every((change, i) => i === 0 || BigInt(change.revision) > BigInt(seen[i - 1]!.revision));
  if (story !== 'watched-a=1, watched-b=2, watched-a=3, watched-b removed' || !ordered) {
    throw new Error(`watched ${story}`);
  }
  return `${seen.length} changes in order`;
}

async function error(object: string): Promise<string> {
  try {
    await answer(get, { object, key: Buffer.from('none') });
  } catch (error) {
    const { code, reason, rc, message } = failure(error);
    return `${code} ${reason} (${rc}): ${message}`;
  }
  throw new Error('a key that is absent was found');
}

async function main(container: string): Promise<void> {
  await answer(create, { container, name: 'example-node' });
  const object = `${container}/example-node`;
  const parts = { 'put and get': putAndGet, scan, stream, watch, error };
  for (const [name, part] of Object.entries(parts)) {
    console.log(`${name}: ${await part(object)}`);
  }
  channel.close();
}

main(process.argv[2] ?? 'tank/neo').catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});

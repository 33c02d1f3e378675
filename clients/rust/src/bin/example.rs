// SPDX-License-Identifier: Apache-2.0

//! A tour of the gateway's data plane: `example POOL/CONTAINER`. It needs a token of the role writer, makes the object "example-rust", and
//! prints a line for each part.
use std::time::Duration;

use sha2::{Digest, Sha256};
use tarn_example::connect::{self, Bearer};
use tarn_example::failure::Failure;
use tarn_example::v1::*;
use tarn_example::{Error, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

type Kv = key_value_service_client::KeyValueServiceClient<InterceptedService<Channel, Bearer>>;

const KEYS: usize = 10_000;
const ENTRIES_A_MESSAGE: usize = 1000;
const MIB: usize = 1 << 20;
const STREAM_MIB: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let container = std::env::args().nth(1).unwrap_or("tank/neo".into());
    let (channel, bearer) = (connect::channel().await?, Bearer::from_env()?);
    let mut objects = object_service_client::ObjectServiceClient::with_interceptor(channel.clone(), bearer.clone());
    objects.create_object(CreateObjectRequest { container: container.clone(), name: "example-rust".into(), ..Default::default() }).await?;
    let mut kv = Kv::new(InterceptedService::new(channel, bearer));
    let object = format!("{container}/example-rust");
    println!("put and get: {}", put_and_get(&mut kv, &object).await?);
    println!("scan: {}", scan(&mut kv, &object).await?);
    println!("stream: {}", stream(&mut kv, &object).await?);
    println!("watch: {}", watch(&mut kv, &object).await?);
    println!("error: {}", error(&mut kv, &object).await?);
    Ok(())
}

/// The value is durable when put has returned.
async fn put(kv: &mut Kv, object: &str, key: &str, value: &str) -> Result<(), Status> {
    kv.put(PutRequest { object: object.into(), key: key.into(), value: value.into(), ..Default::default() }).await?;
    Ok(())
}

async fn get(kv: &mut Kv, object: &str, key: &str) -> Result<Vec<u8>, Status> {
    Ok(kv.get(GetRequest { object: object.into(), key: key.into() }).await?.into_inner().value.into())
}

async fn put_and_get(kv: &mut Kv, object: &str) -> Result<String, Error> {
    put(kv, object, "Barcelona", "Camp Nou").await?;
    Ok(format!("Barcelona plays at {}", String::from_utf8(get(kv, object, "Barcelona").await?)?))
}

fn key(n: usize) -> Vec<u8> {
    format!("key-{n:05}").into_bytes()
}

/// Loads many entries by one stream, and lists them by another.
async fn scan(kv: &mut Kv, object: &str) -> Result<String, Error> {
    let header = BulkLoadRequest { header: Some(BulkLoadHeader { object: object.into(), ..Default::default() }), entries: vec![] };
    let entry = |n: usize| PutEntry { key: key(n).into(), value: n.to_string().into() };
    let entries = (0..KEYS)
        .step_by(ENTRIES_A_MESSAGE)
        .map(move |from| BulkLoadRequest { header: None, entries: (from..from + ENTRIES_A_MESSAGE).map(entry).collect() });
    let stored = kv.bulk_load(tokio_stream::iter(std::iter::once(header).chain(entries))).await?.into_inner().stored;
    check(stored == KEYS as u64, "not all entries were stored")?;

    let range = KeyRange { prefix: "key-".into(), ..Default::default() };
    let mut batches = kv.scan(ScanRequest { object: object.into(), range: Some(range), ..Default::default() }).await?.into_inner();
    let mut count = 0;
    while let Some(batch) = batches.message().await? {
        for entry in batch.entries {
            check(entry.key == key(count) && entry.value.as_deref() == Some(count.to_string().as_bytes()), "the entries are not in order")?;
            count += 1;
        }
    }
    Ok(format!("{count} keys in order"))
}

/// Stores 64 MiB and reads them, each way with a checksum; neither side ever holds more than a few messages.
async fn stream(kv: &mut Kv, object: &str) -> Result<String, Error> {
    let (messages, sent) = mpsc::channel(4);
    let sender = tokio::spawn(send_large(messages, object.to_owned()));
    let size = kv.put_stream(ReceiverStream::new(sent)).await?.into_inner().size;
    sender.await??;

    let request = GetStreamRequest { object: object.into(), key: "large".into(), checksum_type: ChecksumType::Sha256.into() };
    let mut parts = kv.get_stream(request).await?.into_inner();
    let (mut hash, mut checksum) = (Sha256::new(), None);
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(get_stream_response::Part::Data(data)) => hash.update(&data),
            Some(get_stream_response::Part::Trailer(trailer)) => checksum = Some(trailer.checksum),
            _ => {}
        }
    }
    let digest = hash.finalize();
    check(checksum.is_some_and(|sum| sum[..] == digest[..]), "the value is not whole: its checksum is another")?;
    Ok(format!("{size} bytes, sha256 {digest:x}"))
}

/// Sends a header, the bytes, and the checksum that makes them visible. Each send waits for room.
async fn send_large(messages: mpsc::Sender<PutStreamRequest>, object: String) -> Result<(), Error> {
    use put_stream_request::Part;
    let header = PutStreamHeader {
        object,
        key: "large".into(),
        size: Some((STREAM_MIB * MIB) as u64),
        checksum_type: ChecksumType::Sha256.into(),
        ..Default::default()
    };
    messages.send(PutStreamRequest { part: Some(Part::Header(header)) }).await?;
    let mut hash = Sha256::new();
    for i in 0..STREAM_MIB {
        let data: Vec<u8> = (0..MIB).map(|j| ((i + j) % 251) as u8).collect();
        hash.update(&data);
        messages.send(PutStreamRequest { part: Some(Part::Data(data.into())) }).await?;
    }
    let commit = PutStreamCommit { checksum: hash.finalize().to_vec().into() };
    messages.send(PutStreamRequest { part: Some(Part::Commit(commit)) }).await?;
    Ok(())
}

/// Follows the changes of a prefix.
async fn watch(kv: &mut Kv, object: &str) -> Result<String, Error> {
    let mut request = Request::new(WatchRequest { object: object.into(), prefix: "watched-".into(), ..Default::default() });
    request.set_timeout(Duration::from_secs(60));
    let changes = kv.watch(request).await?.into_inner();
    follow(kv, object, changes).await
}

/// The first message says where the stream begins: what is changed after it is seen. To drop the stream ends the call.
async fn follow(kv: &mut Kv, object: &str, mut messages: Streaming<WatchResponse>) -> Result<String, Error> {
    let mut seen = messages.message().await?.ok_or("the watch has ended")?.changes;
    put(kv, object, "watched-a", "1").await?;
    put(kv, object, "watched-b", "2").await?;
    put(kv, object, "watched-a", "3").await?;
    kv.delete(DeleteRequest { object: object.into(), key: "watched-b".into(), ..Default::default() }).await?;
    while seen.len() < 4 {
        seen.extend(messages.message().await?.ok_or("the watch has ended")?.changes);
    }
    let story: Vec<String> = seen.iter().map(told).collect();
    check(story == ["watched-a=1", "watched-b=2", "watched-a=3", "watched-b removed"], &format!("watched {story:?}"))?;
    check(seen.is_sorted_by(|a, b| a.revision < b.revision), "the changes are not in order")?;
    Ok(format!("{} changes in order", seen.len()))
}

fn told(change: &v1::WatchChange) -> String {
    let key = String::from_utf8_lossy(&change.key);
    match &change.value {
        Some(value) => format!("{key}={}", String::from_utf8_lossy(value)),
        None => format!("{key} removed"),
    }
}

async fn error(kv: &mut Kv, object: &str) -> Result<String, Error> {
    match get(kv, object, "none").await {
        Err(status) => Ok(Failure::from(&status).to_string()),
        Ok(_) => Err("a key that is absent was found".into()),
    }
}

fn check(holds: bool, otherwise: &str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

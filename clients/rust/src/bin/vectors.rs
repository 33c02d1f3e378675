// SPDX-License-Identifier: Apache-2.0

//! Runs conformance vectors: `vectors FILE.json...` A line for each vector, "ok NAME" or "not ok NAME: why", and the exit status 1 when one is
//! not ok. The gateway and who calls come from TARN_ENDPOINT, TARN_TLS_CA and TARN_TOKENS, the container to work in from TARN_CONTAINER, a new
//! UUID from TARN_UUID.
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tarn_example::Error;
use tarn_example::connect::{authorization, channel, setting};
use tarn_example::document::{Document, Names, Step, Vector, WantedError, at, filled, text, without};
use tarn_example::failure::Failure;
use tarn_example::v1::*;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

const TIMEOUT: Duration = Duration::from_secs(20);

/// What the generated messages are.
trait Message: prost::Message + Default + Serialize + DeserializeOwned + 'static {}
impl<T: prost::Message + Default + Serialize + DeserializeOwned + 'static> Message for T {}

/// What a call has answered, and what it should have, as JSON.
struct Answered {
    found: Vec<Value>,
    wanted: Option<Vec<Value>>,
}

struct Runner {
    channel: Channel,
    ignored: Vec<String>,
    names: Names,
}

/// Runs the step whose call has these messages.
macro_rules! dispatch {
    ($runner:ident, $step:ident, $($call:literal, $request:ident, $answer:ident;)*) => {
        match $step.call.as_str() {
            $($call => $runner.exchange::<$request, $answer>($step).await,)*
            other => Err(format!("there is no call {other}").into()),
        }
    };
}

impl Runner {
    fn new(channel: Channel, ignored: &[String]) -> Result<Self, Error> {
        let cont = setting("TARN_CONTAINER")?;
        let (pool, label) = cont.split_once('/').ok_or("TARN_CONTAINER is POOL/CONTAINER")?;
        let names = [("pool", pool), ("label", label), ("cont", &cont), ("uuid", &setting("TARN_UUID")?)];
        Ok(Self { channel, ignored: ignored.to_vec(), names: names.map(|(name, value)| (name.into(), value.into())).into() })
    }

    /// Why the vector failed, or nothing.
    async fn vector(&mut self, vector: &Vector) -> Option<String> {
        for (i, step) in vector.steps.iter().enumerate() {
            if let Err(error) = self.step(step).await {
                return Some(format!("step {}, {}: {error}", i + 1, step.call));
            }
        }
        None
    }

    async fn step(&mut self, step: &Step) -> Result<(), Error> {
        match (self.call(step).await?, &step.error) {
            (Err(status), wanted) => self.check_error(&Failure::from(&status), wanted.as_ref()),
            (Ok(_), Some(wanted)) => Err(format!("it succeeded, and should have failed with {}", wanted.reason).into()),
            (Ok(answered), None) => self.check_answers(step, &answered),
        }
    }

    async fn call(&self, step: &Step) -> Result<Result<Answered, Status>, Error> {
        dispatch! { self, step,
            "AdminService/Echo", EchoRequest, EchoResponse;
            "AdminService/GetServerInfo", GetServerInfoRequest, GetServerInfoResponse;
            "PoolService/CreatePool", CreatePoolRequest, CreatePoolResponse;
            "PoolService/GetPool", GetPoolRequest, GetPoolResponse;
            "ContainerService/CreateContainer", CreateContainerRequest, CreateContainerResponse;
            "ContainerService/GetContainer", GetContainerRequest, GetContainerResponse;
            "ContainerService/ListContainers", ListContainersRequest, ListContainersResponse;
            "ContainerService/UpdateContainer", UpdateContainerRequest, UpdateContainerResponse;
            "ContainerService/SyncContainer", SyncContainerRequest, SyncContainerResponse;
            "ContainerService/DeleteContainer", DeleteContainerRequest, DeleteContainerResponse;
            "ObjectService/CreateObject", CreateObjectRequest, CreateObjectResponse;
            "ObjectService/GetObject", GetObjectRequest, GetObjectResponse;
            "ObjectService/ListObjects", ListObjectsRequest, ListObjectsResponse;
            "ObjectService/DeleteObject", DeleteObjectRequest, DeleteObjectResponse;
            "ObjectService/RenameObject", RenameObjectRequest, RenameObjectResponse;
            "SnapshotService/CreateSnapshot", CreateSnapshotRequest, CreateSnapshotResponse;
            "SnapshotService/GetSnapshot", GetSnapshotRequest, GetSnapshotResponse;
            "SnapshotService/ListSnapshots", ListSnapshotsRequest, ListSnapshotsResponse;
            "SnapshotService/DeleteSnapshot", DeleteSnapshotRequest, DeleteSnapshotResponse;
            "KeyValueService/Get", GetRequest, GetResponse;
            "KeyValueService/Head", HeadRequest, HeadResponse;
            "KeyValueService/Put", PutRequest, PutResponse;
            "KeyValueService/Delete", DeleteRequest, DeleteResponse;
            "KeyValueService/BatchGet", BatchGetRequest, BatchGetResponse;
            "KeyValueService/BatchPut", BatchPutRequest, BatchPutResponse;
            "KeyValueService/BatchDelete", BatchDeleteRequest, BatchDeleteResponse;
            "KeyValueService/ApplyBatch", ApplyBatchRequest, ApplyBatchResponse;
            "KeyValueService/Increment", IncrementRequest, IncrementResponse;
            "KeyValueService/Transact", TransactRequest, TransactResponse;
            "KeyValueService/ListKeys", ListKeysRequest, ListKeysResponse;
            "KeyValueService/BulkLoad", BulkLoadRequest, BulkLoadResponse;
            "KeyValueService/Session", SessionRequest, SessionResponse;
            "KeyValueService/Count", CountRequest, CountResponse;
            "KeyValueService/Scan", ScanRequest, ScanResponse;
            "KeyValueService/DeleteRange", DeleteRangeRequest, DeleteRangeResponse;
            "KeyValueService/GetStream", GetStreamRequest, GetStreamResponse;
            "KeyValueService/PutStream", PutStreamRequest, PutStreamResponse;
        }
    }

    async fn exchange<Q: Message, A: Message>(&self, step: &Step) -> Result<Result<Answered, Status>, Error> {
        let requests = self.messages::<Q>(&step.sent())?;
        let wanted = step.expected().map(|expected| json(self.messages::<A>(&expected)?)).transpose()?;
        match self.send::<Q, A>(step, requests).await? {
            Ok(answers) => Ok(Ok(Answered { found: json(answers)?, wanted })),
            Err(status) => Ok(Err(status)),
        }
    }

    /// The messages that the JSON describes; a field that the message has not is an error.
    fn messages<M: Message>(&self, values: &[Value]) -> Result<Vec<M>, Error> {
        values.iter().map(|value| Ok(serde_json::from_value(filled(value, &self.names)?)?)).collect()
    }

    /// Sends the requests, and returns the messages of the answer. A unary call is a stream of one message each way.
    async fn send<Q: Message, A: Message>(&self, step: &Step, requests: Vec<Q>) -> Result<Result<Vec<A>, Status>, Error> {
        let mut request = Request::new(tokio_stream::iter(requests));
        request.set_timeout(TIMEOUT);
        if step.role != "nobody" {
            request.metadata_mut().insert("authorization", authorization(&token(&step.role)?)?);
        }
        let path: PathAndQuery = format!("/tarn.v1.{}", step.call).parse()?;
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await?;
        let answers = client.streaming(request, path, tonic_prost::ProstCodec::<Q, A>::default()).await;
        Ok(match answers {
            Ok(answers) => collect(answers.into_inner()).await,
            Err(status) => Err(status),
        })
    }

    fn check_answers(&mut self, step: &Step, answered: &Answered) -> Result<(), Error> {
        let kept = |messages: &[Value]| messages.iter().map(|message| without(message, &self.ignored)).collect::<Vec<_>>();
        if answered.wanted.as_ref().is_some_and(|wanted| kept(&answered.found) != kept(wanted)) {
            return Err(format!("answered {:.400}, wanted {:.400}", format!("{:?}", answered.found), format!("{:?}", answered.wanted)).into());
        }
        for (name, path) in &step.save {
            let first = answered.found.first().ok_or("there was no answer")?;
            self.names.insert(name.clone(), at(first, path)?);
        }
        Ok(())
    }

    fn check_error(&self, found: &Failure, wanted: Option<&WantedError>) -> Result<(), Error> {
        let wanted = wanted.ok_or_else(|| format!("failed: {found}"))?;
        let mut same = found.code_name() == wanted.code && found.reason == wanted.reason && found.domain == "tarn" && found.rc() == wanted.rc;
        for (name, value) in &wanted.metadata {
            same &= found.metadata.get(name) == Some(&text(value, &self.names)?);
        }
        if same { Ok(()) } else { Err(format!("failed with {found}, wanted {wanted:?}").into()) }
    }
}

fn token(role: &str) -> Result<String, Error> {
    if role == "forged" {
        return Ok(role.into());
    }
    Ok(fs::read_to_string(Path::new(&setting("TARN_TOKENS")?).join(role))?.trim().into())
}

async fn collect<A>(mut answers: tonic::Streaming<A>) -> Result<Vec<A>, Status> {
    let mut all = vec![];
    while let Some(answer) = answers.message().await? {
        all.push(answer);
    }
    Ok(all)
}

fn json<M: Message>(messages: Vec<M>) -> Result<Vec<Value>, Error> {
    messages.into_iter().map(|message| Ok(serde_json::to_value(message)?)).collect()
}

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let channel = channel().await?;
    let mut bad = false;
    for file in env::args().skip(1) {
        let document: Document = serde_json::from_str(&fs::read_to_string(file)?)?;
        for vector in &document.vectors {
            let why = Runner::new(channel.clone(), &document.ignore)?.vector(vector).await;
            bad |= why.is_some();
            match why {
                Some(why) => println!("not ok {}: {}", vector.name, why.replace('\n', " ")),
                None => println!("ok {}", vector.name),
            }
        }
    }
    Ok(ExitCode::from(u8::from(bad)))
}

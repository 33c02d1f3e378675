from tarn.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Condition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONDITION_UNSPECIFIED: _ClassVar[Condition]
    CONDITION_INSERT: _ClassVar[Condition]
    CONDITION_UPDATE: _ClassVar[Condition]
    CONDITION_REVISION: _ClassVar[Condition]

class ChecksumType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECKSUM_TYPE_UNSPECIFIED: _ClassVar[ChecksumType]
    CHECKSUM_TYPE_CRC32C: _ClassVar[ChecksumType]
    CHECKSUM_TYPE_SHA256: _ClassVar[ChecksumType]

class Comparison(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPARISON_UNSPECIFIED: _ClassVar[Comparison]
    COMPARISON_EQUAL: _ClassVar[Comparison]
    COMPARISON_NOT_EQUAL: _ClassVar[Comparison]
    COMPARISON_LESS: _ClassVar[Comparison]
    COMPARISON_GREATER: _ClassVar[Comparison]
CONDITION_UNSPECIFIED: Condition
CONDITION_INSERT: Condition
CONDITION_UPDATE: Condition
CONDITION_REVISION: Condition
CHECKSUM_TYPE_UNSPECIFIED: ChecksumType
CHECKSUM_TYPE_CRC32C: ChecksumType
CHECKSUM_TYPE_SHA256: ChecksumType
COMPARISON_UNSPECIFIED: Comparison
COMPARISON_EQUAL: Comparison
COMPARISON_NOT_EQUAL: Comparison
COMPARISON_LESS: Comparison
COMPARISON_GREATER: Comparison

class KeyRange(_message.Message):
    __slots__ = ("prefix", "start", "end", "after")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    prefix: bytes
    start: bytes
    end: bytes
    after: bool
    def __init__(self, prefix: _Optional[bytes] = ..., start: _Optional[bytes] = ..., end: _Optional[bytes] = ..., after: bool = ...) -> None: ...

class KeyError(_message.Message):
    __slots__ = ("code", "reason", "rc", "message", "size")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RC_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    rc: int
    message: str
    size: int
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., rc: _Optional[int] = ..., message: _Optional[str] = ..., size: _Optional[int] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("object", "key")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    object: str
    key: bytes
    def __init__(self, object: _Optional[str] = ..., key: _Optional[bytes] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: bytes
    def __init__(self, value: _Optional[bytes] = ...) -> None: ...

class HeadRequest(_message.Message):
    __slots__ = ("object", "key")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    object: str
    key: bytes
    def __init__(self, object: _Optional[str] = ..., key: _Optional[bytes] = ...) -> None: ...

class HeadResponse(_message.Message):
    __slots__ = ("size", "revision")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    size: int
    revision: int
    def __init__(self, size: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class PutRequest(_message.Message):
    __slots__ = ("object", "key", "value", "condition", "revision")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    object: str
    key: bytes
    value: bytes
    condition: Condition
    revision: int
    def __init__(self, object: _Optional[str] = ..., key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., condition: _Optional[_Union[Condition, str]] = ..., revision: _Optional[int] = ...) -> None: ...

class PutResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("object", "key", "condition", "revision")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    object: str
    key: bytes
    condition: Condition
    revision: int
    def __init__(self, object: _Optional[str] = ..., key: _Optional[bytes] = ..., condition: _Optional[_Union[Condition, str]] = ..., revision: _Optional[int] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BatchGetRequest(_message.Message):
    __slots__ = ("object", "keys")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    object: str
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, object: _Optional[str] = ..., keys: _Optional[_Iterable[bytes]] = ...) -> None: ...

class BatchGetResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchGetResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchGetResult, _Mapping]]] = ...) -> None: ...

class BatchGetResult(_message.Message):
    __slots__ = ("value", "error")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    value: bytes
    error: KeyError
    def __init__(self, value: _Optional[bytes] = ..., error: _Optional[_Union[KeyError, _Mapping]] = ...) -> None: ...

class BatchPutRequest(_message.Message):
    __slots__ = ("object", "entries", "condition")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    object: str
    entries: _containers.RepeatedCompositeFieldContainer[PutEntry]
    condition: Condition
    def __init__(self, object: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[PutEntry, _Mapping]]] = ..., condition: _Optional[_Union[Condition, str]] = ...) -> None: ...

class PutEntry(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class BatchPutResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[KeyResult]
    def __init__(self, results: _Optional[_Iterable[_Union[KeyResult, _Mapping]]] = ...) -> None: ...

class KeyResult(_message.Message):
    __slots__ = ("error",)
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: KeyError
    def __init__(self, error: _Optional[_Union[KeyError, _Mapping]] = ...) -> None: ...

class BatchDeleteRequest(_message.Message):
    __slots__ = ("object", "keys", "condition")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    object: str
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    condition: Condition
    def __init__(self, object: _Optional[str] = ..., keys: _Optional[_Iterable[bytes]] = ..., condition: _Optional[_Union[Condition, str]] = ...) -> None: ...

class BatchDeleteResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[KeyResult]
    def __init__(self, results: _Optional[_Iterable[_Union[KeyResult, _Mapping]]] = ...) -> None: ...

class Mutation(_message.Message):
    __slots__ = ("key", "put", "delete", "check", "condition", "revision")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    put: bytes
    delete: bool
    check: bool
    condition: Condition
    revision: int
    def __init__(self, key: _Optional[bytes] = ..., put: _Optional[bytes] = ..., delete: bool = ..., check: bool = ..., condition: _Optional[_Union[Condition, str]] = ..., revision: _Optional[int] = ...) -> None: ...

class ApplyBatchRequest(_message.Message):
    __slots__ = ("object", "mutations", "request_id")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    MUTATIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    object: str
    mutations: _containers.RepeatedCompositeFieldContainer[Mutation]
    request_id: str
    def __init__(self, object: _Optional[str] = ..., mutations: _Optional[_Iterable[_Union[Mutation, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ApplyBatchResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class IncrementRequest(_message.Message):
    __slots__ = ("object", "key", "delta", "request_id")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    object: str
    key: bytes
    delta: int
    request_id: str
    def __init__(self, object: _Optional[str] = ..., key: _Optional[bytes] = ..., delta: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class IncrementResponse(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class Compare(_message.Message):
    __slots__ = ("key", "comparison", "revision", "value", "size", "exists")
    KEY_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    comparison: Comparison
    revision: int
    value: bytes
    size: int
    exists: bool
    def __init__(self, key: _Optional[bytes] = ..., comparison: _Optional[_Union[Comparison, str]] = ..., revision: _Optional[int] = ..., value: _Optional[bytes] = ..., size: _Optional[int] = ..., exists: bool = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("get", "change")
    GET_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    get: bytes
    change: Mutation
    def __init__(self, get: _Optional[bytes] = ..., change: _Optional[_Union[Mutation, _Mapping]] = ...) -> None: ...

class TransactRequest(_message.Message):
    __slots__ = ("object", "compares", "success", "failure", "request_id")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    COMPARES_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    object: str
    compares: _containers.RepeatedCompositeFieldContainer[Compare]
    success: _containers.RepeatedCompositeFieldContainer[Step]
    failure: _containers.RepeatedCompositeFieldContainer[Step]
    request_id: str
    def __init__(self, object: _Optional[str] = ..., compares: _Optional[_Iterable[_Union[Compare, _Mapping]]] = ..., success: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., failure: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class TransactResponse(_message.Message):
    __slots__ = ("succeeded", "gets")
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    GETS_FIELD_NUMBER: _ClassVar[int]
    succeeded: bool
    gets: _containers.RepeatedCompositeFieldContainer[TransactGet]
    def __init__(self, succeeded: bool = ..., gets: _Optional[_Iterable[_Union[TransactGet, _Mapping]]] = ...) -> None: ...

class TransactGet(_message.Message):
    __slots__ = ("key", "value", "revision")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    revision: int
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., revision: _Optional[int] = ...) -> None: ...

class ListKeysRequest(_message.Message):
    __slots__ = ("object", "range", "page_size", "page_token")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    object: str
    range: KeyRange
    page_size: int
    page_token: str
    def __init__(self, object: _Optional[str] = ..., range: _Optional[_Union[KeyRange, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListKeysResponse(_message.Message):
    __slots__ = ("keys", "next_page_token")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    next_page_token: str
    def __init__(self, keys: _Optional[_Iterable[bytes]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class BulkLoadRequest(_message.Message):
    __slots__ = ("header", "entries")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    header: BulkLoadHeader
    entries: _containers.RepeatedCompositeFieldContainer[PutEntry]
    def __init__(self, header: _Optional[_Union[BulkLoadHeader, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[PutEntry, _Mapping]]] = ...) -> None: ...

class BulkLoadHeader(_message.Message):
    __slots__ = ("object", "condition")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    object: str
    condition: Condition
    def __init__(self, object: _Optional[str] = ..., condition: _Optional[_Union[Condition, str]] = ...) -> None: ...

class BulkLoadResponse(_message.Message):
    __slots__ = ("stored",)
    STORED_FIELD_NUMBER: _ClassVar[int]
    stored: int
    def __init__(self, stored: _Optional[int] = ...) -> None: ...

class SessionRequest(_message.Message):
    __slots__ = ("calls",)
    CALLS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[SessionCall]
    def __init__(self, calls: _Optional[_Iterable[_Union[SessionCall, _Mapping]]] = ...) -> None: ...

class SessionCall(_message.Message):
    __slots__ = ("tag", "object", "get", "head", "put", "delete")
    TAG_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    GET_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    tag: int
    object: str
    get: GetRequest
    head: HeadRequest
    put: PutRequest
    delete: DeleteRequest
    def __init__(self, tag: _Optional[int] = ..., object: _Optional[str] = ..., get: _Optional[_Union[GetRequest, _Mapping]] = ..., head: _Optional[_Union[HeadRequest, _Mapping]] = ..., put: _Optional[_Union[PutRequest, _Mapping]] = ..., delete: _Optional[_Union[DeleteRequest, _Mapping]] = ...) -> None: ...

class SessionResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SessionResult]
    def __init__(self, results: _Optional[_Iterable[_Union[SessionResult, _Mapping]]] = ...) -> None: ...

class SessionResult(_message.Message):
    __slots__ = ("tag", "error", "get", "head", "put", "delete")
    TAG_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    GET_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    tag: int
    error: KeyError
    get: GetResponse
    head: HeadResponse
    put: PutResponse
    delete: DeleteResponse
    def __init__(self, tag: _Optional[int] = ..., error: _Optional[_Union[KeyError, _Mapping]] = ..., get: _Optional[_Union[GetResponse, _Mapping]] = ..., head: _Optional[_Union[HeadResponse, _Mapping]] = ..., put: _Optional[_Union[PutResponse, _Mapping]] = ..., delete: _Optional[_Union[DeleteResponse, _Mapping]] = ...) -> None: ...

class CountRequest(_message.Message):
    __slots__ = ("object", "range")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    object: str
    range: KeyRange
    def __init__(self, object: _Optional[str] = ..., range: _Optional[_Union[KeyRange, _Mapping]] = ...) -> None: ...

class CountResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class ScanRequest(_message.Message):
    __slots__ = ("object", "range", "reverse", "keys_only", "limit")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    KEYS_ONLY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    object: str
    range: KeyRange
    reverse: bool
    keys_only: bool
    limit: int
    def __init__(self, object: _Optional[str] = ..., range: _Optional[_Union[KeyRange, _Mapping]] = ..., reverse: bool = ..., keys_only: bool = ..., limit: _Optional[int] = ...) -> None: ...

class ScanEntry(_message.Message):
    __slots__ = ("key", "value", "size", "revision")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    size: int
    revision: int
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., size: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class ScanResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[ScanEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[ScanEntry, _Mapping]]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("object", "start_revision", "prefix", "keys_only", "progress_ms", "value_max", "start_position")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    START_REVISION_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    KEYS_ONLY_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_MS_FIELD_NUMBER: _ClassVar[int]
    VALUE_MAX_FIELD_NUMBER: _ClassVar[int]
    START_POSITION_FIELD_NUMBER: _ClassVar[int]
    object: str
    start_revision: int
    prefix: bytes
    keys_only: bool
    progress_ms: int
    value_max: int
    start_position: int
    def __init__(self, object: _Optional[str] = ..., start_revision: _Optional[int] = ..., prefix: _Optional[bytes] = ..., keys_only: bool = ..., progress_ms: _Optional[int] = ..., value_max: _Optional[int] = ..., start_position: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("changes", "revision", "position")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[WatchChange]
    revision: int
    position: int
    def __init__(self, changes: _Optional[_Iterable[_Union[WatchChange, _Mapping]]] = ..., revision: _Optional[int] = ..., position: _Optional[int] = ...) -> None: ...

class WatchChange(_message.Message):
    __slots__ = ("key", "revision", "deleted", "value", "size", "gone")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    revision: int
    deleted: bool
    value: bytes
    size: int
    gone: bool
    def __init__(self, key: _Optional[bytes] = ..., revision: _Optional[int] = ..., deleted: bool = ..., value: _Optional[bytes] = ..., size: _Optional[int] = ..., gone: bool = ...) -> None: ...

class DeleteRangeRequest(_message.Message):
    __slots__ = ("object", "range", "limit", "reverse")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    object: str
    range: KeyRange
    limit: int
    reverse: bool
    def __init__(self, object: _Optional[str] = ..., range: _Optional[_Union[KeyRange, _Mapping]] = ..., limit: _Optional[int] = ..., reverse: bool = ...) -> None: ...

class DeleteRangeResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class GetStreamRequest(_message.Message):
    __slots__ = ("object", "key", "checksum_type")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_TYPE_FIELD_NUMBER: _ClassVar[int]
    object: str
    key: bytes
    checksum_type: ChecksumType
    def __init__(self, object: _Optional[str] = ..., key: _Optional[bytes] = ..., checksum_type: _Optional[_Union[ChecksumType, str]] = ...) -> None: ...

class GetStreamResponse(_message.Message):
    __slots__ = ("header", "data", "trailer")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TRAILER_FIELD_NUMBER: _ClassVar[int]
    header: GetStreamHeader
    data: bytes
    trailer: GetStreamTrailer
    def __init__(self, header: _Optional[_Union[GetStreamHeader, _Mapping]] = ..., data: _Optional[bytes] = ..., trailer: _Optional[_Union[GetStreamTrailer, _Mapping]] = ...) -> None: ...

class GetStreamHeader(_message.Message):
    __slots__ = ("size", "revision", "checksum_type")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_TYPE_FIELD_NUMBER: _ClassVar[int]
    size: int
    revision: int
    checksum_type: ChecksumType
    def __init__(self, size: _Optional[int] = ..., revision: _Optional[int] = ..., checksum_type: _Optional[_Union[ChecksumType, str]] = ...) -> None: ...

class GetStreamTrailer(_message.Message):
    __slots__ = ("checksum",)
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    checksum: bytes
    def __init__(self, checksum: _Optional[bytes] = ...) -> None: ...

class PutStreamRequest(_message.Message):
    __slots__ = ("header", "data", "commit")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    header: PutStreamHeader
    data: bytes
    commit: PutStreamCommit
    def __init__(self, header: _Optional[_Union[PutStreamHeader, _Mapping]] = ..., data: _Optional[bytes] = ..., commit: _Optional[_Union[PutStreamCommit, _Mapping]] = ...) -> None: ...

class PutStreamHeader(_message.Message):
    __slots__ = ("object", "key", "size", "checksum_type", "condition")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    object: str
    key: bytes
    size: int
    checksum_type: ChecksumType
    condition: Condition
    def __init__(self, object: _Optional[str] = ..., key: _Optional[bytes] = ..., size: _Optional[int] = ..., checksum_type: _Optional[_Union[ChecksumType, str]] = ..., condition: _Optional[_Union[Condition, str]] = ...) -> None: ...

class PutStreamCommit(_message.Message):
    __slots__ = ("checksum",)
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    checksum: bytes
    def __init__(self, checksum: _Optional[bytes] = ...) -> None: ...

class PutStreamResponse(_message.Message):
    __slots__ = ("size",)
    SIZE_FIELD_NUMBER: _ClassVar[int]
    size: int
    def __init__(self, size: _Optional[int] = ...) -> None: ...

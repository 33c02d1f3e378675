from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ServerLimits(_message.Message):
    __slots__ = ("key_bytes", "value_bytes", "unary_value_bytes", "message_bytes", "batch_keys", "apply_mutations", "page_size")
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNARY_VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BATCH_KEYS_FIELD_NUMBER: _ClassVar[int]
    APPLY_MUTATIONS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    key_bytes: int
    value_bytes: int
    unary_value_bytes: int
    message_bytes: int
    batch_keys: int
    apply_mutations: int
    page_size: int
    def __init__(self, key_bytes: _Optional[int] = ..., value_bytes: _Optional[int] = ..., unary_value_bytes: _Optional[int] = ..., message_bytes: _Optional[int] = ..., batch_keys: _Optional[int] = ..., apply_mutations: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "limits", "features")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    version: str
    limits: ServerLimits
    features: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[str] = ..., limits: _Optional[_Union[ServerLimits, _Mapping]] = ..., features: _Optional[_Iterable[str]] = ...) -> None: ...

class EchoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EchoResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

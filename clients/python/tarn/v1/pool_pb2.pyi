from google.protobuf import field_mask_pb2 as _field_mask_pb2
from tarn.v1 import access_pb2 as _access_pb2
from tarn.v1 import acl_pb2 as _acl_pb2
from tarn.v1 import operation_pb2 as _operation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PoolView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POOL_VIEW_UNSPECIFIED: _ClassVar[PoolView]
    POOL_VIEW_BASIC: _ClassVar[PoolView]
    POOL_VIEW_SPACE: _ClassVar[PoolView]
    POOL_VIEW_FULL: _ClassVar[PoolView]
    POOL_VIEW_ATTRIBUTES: _ClassVar[PoolView]
POOL_VIEW_UNSPECIFIED: PoolView
POOL_VIEW_BASIC: PoolView
POOL_VIEW_SPACE: PoolView
POOL_VIEW_FULL: PoolView
POOL_VIEW_ATTRIBUTES: PoolView

class Pool(_message.Message):
    __slots__ = ("uuid", "label", "path", "targets", "map_version", "format_version", "read_only", "space", "engine", "attributes", "etag")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    UUID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    MAP_VERSION_FIELD_NUMBER: _ClassVar[int]
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    label: str
    path: str
    targets: int
    map_version: int
    format_version: int
    read_only: bool
    space: PoolSpace
    engine: PoolEngine
    attributes: _containers.ScalarMap[str, bytes]
    etag: str
    def __init__(self, uuid: _Optional[str] = ..., label: _Optional[str] = ..., path: _Optional[str] = ..., targets: _Optional[int] = ..., map_version: _Optional[int] = ..., format_version: _Optional[int] = ..., read_only: bool = ..., space: _Optional[_Union[PoolSpace, _Mapping]] = ..., engine: _Optional[_Union[PoolEngine, _Mapping]] = ..., attributes: _Optional[_Mapping[str, bytes]] = ..., etag: _Optional[str] = ...) -> None: ...

class PoolSpace(_message.Message):
    __slots__ = ("total_bytes", "free_bytes")
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    total_bytes: int
    free_bytes: int
    def __init__(self, total_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ...) -> None: ...

class PoolEngine(_message.Message):
    __slots__ = ("log_bytes", "log_used_bytes", "cache_bytes", "cache_used_bytes", "generation", "containers")
    LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOG_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CACHE_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    log_bytes: int
    log_used_bytes: int
    cache_bytes: int
    cache_used_bytes: int
    generation: int
    containers: int
    def __init__(self, log_bytes: _Optional[int] = ..., log_used_bytes: _Optional[int] = ..., cache_bytes: _Optional[int] = ..., cache_used_bytes: _Optional[int] = ..., generation: _Optional[int] = ..., containers: _Optional[int] = ...) -> None: ...

class CreatePoolRequest(_message.Message):
    __slots__ = ("label", "size", "device", "log_bytes", "node_bytes", "overwrite", "request_id", "owner", "group", "zeroed")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    NODE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    ZEROED_FIELD_NUMBER: _ClassVar[int]
    label: str
    size: int
    device: str
    log_bytes: int
    node_bytes: int
    overwrite: bool
    request_id: str
    owner: str
    group: str
    zeroed: bool
    def __init__(self, label: _Optional[str] = ..., size: _Optional[int] = ..., device: _Optional[str] = ..., log_bytes: _Optional[int] = ..., node_bytes: _Optional[int] = ..., overwrite: bool = ..., request_id: _Optional[str] = ..., owner: _Optional[str] = ..., group: _Optional[str] = ..., zeroed: bool = ...) -> None: ...

class CreatePoolResponse(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: Pool
    def __init__(self, pool: _Optional[_Union[Pool, _Mapping]] = ...) -> None: ...

class GetPoolRequest(_message.Message):
    __slots__ = ("pool", "view")
    POOL_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    pool: str
    view: PoolView
    def __init__(self, pool: _Optional[str] = ..., view: _Optional[_Union[PoolView, str]] = ...) -> None: ...

class GetPoolResponse(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: Pool
    def __init__(self, pool: _Optional[_Union[Pool, _Mapping]] = ...) -> None: ...

class ListPoolsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPoolsResponse(_message.Message):
    __slots__ = ("pools", "next_page_token")
    POOLS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    pools: _containers.RepeatedCompositeFieldContainer[Pool]
    next_page_token: str
    def __init__(self, pools: _Optional[_Iterable[_Union[Pool, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdatePoolRequest(_message.Message):
    __slots__ = ("pool", "attributes", "update_mask", "etag")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    POOL_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    pool: str
    attributes: _containers.ScalarMap[str, bytes]
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    def __init__(self, pool: _Optional[str] = ..., attributes: _Optional[_Mapping[str, bytes]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class UpdatePoolResponse(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: Pool
    def __init__(self, pool: _Optional[_Union[Pool, _Mapping]] = ...) -> None: ...

class DeletePoolRequest(_message.Message):
    __slots__ = ("pool", "force")
    POOL_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    force: bool
    def __init__(self, pool: _Optional[str] = ..., force: bool = ...) -> None: ...

class DeletePoolResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SyncPoolRequest(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    def __init__(self, pool: _Optional[str] = ...) -> None: ...

class SyncPoolResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckpointPoolRequest(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    def __init__(self, pool: _Optional[str] = ...) -> None: ...

class CheckpointPoolResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckPoolRequest(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    def __init__(self, pool: _Optional[str] = ...) -> None: ...

class CheckPoolResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class ScrubPoolRequest(_message.Message):
    __slots__ = ("pool", "bytes_per_second")
    POOL_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    pool: str
    bytes_per_second: int
    def __init__(self, pool: _Optional[str] = ..., bytes_per_second: _Optional[int] = ...) -> None: ...

class ScrubPoolResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

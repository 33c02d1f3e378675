import datetime

from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tarn.v1 import access_pb2 as _access_pb2
from tarn.v1 import acl_pb2 as _acl_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContainerType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTAINER_TYPE_UNSPECIFIED: _ClassVar[ContainerType]
    CONTAINER_TYPE_UNKNOWN: _ClassVar[ContainerType]
    CONTAINER_TYPE_POSIX: _ClassVar[ContainerType]
    CONTAINER_TYPE_HDF5: _ClassVar[ContainerType]
    CONTAINER_TYPE_PYTHON: _ClassVar[ContainerType]
    CONTAINER_TYPE_KV: _ClassVar[ContainerType]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_DURABLE: _ClassVar[Durability]
    DURABILITY_RELAXED: _ClassVar[Durability]
CONTAINER_TYPE_UNSPECIFIED: ContainerType
CONTAINER_TYPE_UNKNOWN: ContainerType
CONTAINER_TYPE_POSIX: ContainerType
CONTAINER_TYPE_HDF5: ContainerType
CONTAINER_TYPE_PYTHON: ContainerType
CONTAINER_TYPE_KV: ContainerType
DURABILITY_UNSPECIFIED: Durability
DURABILITY_DURABLE: Durability
DURABILITY_RELAXED: Durability

class Container(_message.Message):
    __slots__ = ("uuid", "label", "type", "create_time", "open_handles", "objects", "properties", "snapshots", "epoch", "attributes", "etag")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    UUID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    OPEN_HANDLES_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    label: str
    type: ContainerType
    create_time: _timestamp_pb2.Timestamp
    open_handles: int
    objects: int
    properties: ContainerProperties
    snapshots: int
    epoch: int
    attributes: _containers.ScalarMap[str, bytes]
    etag: str
    def __init__(self, uuid: _Optional[str] = ..., label: _Optional[str] = ..., type: _Optional[_Union[ContainerType, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., open_handles: _Optional[int] = ..., objects: _Optional[int] = ..., properties: _Optional[_Union[ContainerProperties, _Mapping]] = ..., snapshots: _Optional[int] = ..., epoch: _Optional[int] = ..., attributes: _Optional[_Mapping[str, bytes]] = ..., etag: _Optional[str] = ...) -> None: ...

class ContainerProperties(_message.Message):
    __slots__ = ("owner", "description", "value_max", "durability", "group")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VALUE_MAX_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    owner: str
    description: str
    value_max: int
    durability: Durability
    group: str
    def __init__(self, owner: _Optional[str] = ..., description: _Optional[str] = ..., value_max: _Optional[int] = ..., durability: _Optional[_Union[Durability, str]] = ..., group: _Optional[str] = ...) -> None: ...

class CreateContainerRequest(_message.Message):
    __slots__ = ("pool", "label", "type", "properties", "request_id")
    POOL_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    pool: str
    label: str
    type: ContainerType
    properties: ContainerProperties
    request_id: str
    def __init__(self, pool: _Optional[str] = ..., label: _Optional[str] = ..., type: _Optional[_Union[ContainerType, str]] = ..., properties: _Optional[_Union[ContainerProperties, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateContainerResponse(_message.Message):
    __slots__ = ("container",)
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    container: Container
    def __init__(self, container: _Optional[_Union[Container, _Mapping]] = ...) -> None: ...

class GetContainerRequest(_message.Message):
    __slots__ = ("container", "read_mask")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    container: str
    read_mask: _field_mask_pb2.FieldMask
    def __init__(self, container: _Optional[str] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class GetContainerResponse(_message.Message):
    __slots__ = ("container",)
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    container: Container
    def __init__(self, container: _Optional[_Union[Container, _Mapping]] = ...) -> None: ...

class ListContainersRequest(_message.Message):
    __slots__ = ("pool", "page_size", "page_token")
    POOL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    pool: str
    page_size: int
    page_token: str
    def __init__(self, pool: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListContainersResponse(_message.Message):
    __slots__ = ("containers", "next_page_token")
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    containers: _containers.RepeatedCompositeFieldContainer[Container]
    next_page_token: str
    def __init__(self, containers: _Optional[_Iterable[_Union[Container, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateContainerRequest(_message.Message):
    __slots__ = ("container", "properties", "update_mask", "attributes", "etag")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    container: str
    properties: ContainerProperties
    update_mask: _field_mask_pb2.FieldMask
    attributes: _containers.ScalarMap[str, bytes]
    etag: str
    def __init__(self, container: _Optional[str] = ..., properties: _Optional[_Union[ContainerProperties, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., attributes: _Optional[_Mapping[str, bytes]] = ..., etag: _Optional[str] = ...) -> None: ...

class UpdateContainerResponse(_message.Message):
    __slots__ = ("container",)
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    container: Container
    def __init__(self, container: _Optional[_Union[Container, _Mapping]] = ...) -> None: ...

class SyncContainerRequest(_message.Message):
    __slots__ = ("container",)
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    container: str
    def __init__(self, container: _Optional[str] = ...) -> None: ...

class SyncContainerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteContainerRequest(_message.Message):
    __slots__ = ("container", "force")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    container: str
    force: bool
    def __init__(self, container: _Optional[str] = ..., force: bool = ...) -> None: ...

class DeleteContainerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

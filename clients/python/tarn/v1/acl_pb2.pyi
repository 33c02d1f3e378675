from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AccessControl(_message.Message):
    __slots__ = ("owner", "group", "has_list", "entries")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    HAS_LIST_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    owner: str
    group: str
    has_list: bool
    entries: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, owner: _Optional[str] = ..., group: _Optional[str] = ..., has_list: bool = ..., entries: _Optional[_Iterable[str]] = ...) -> None: ...

class GetPoolAclRequest(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    def __init__(self, pool: _Optional[str] = ...) -> None: ...

class GetPoolAclResponse(_message.Message):
    __slots__ = ("access",)
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    access: AccessControl
    def __init__(self, access: _Optional[_Union[AccessControl, _Mapping]] = ...) -> None: ...

class OverwritePoolAclRequest(_message.Message):
    __slots__ = ("pool", "entries")
    POOL_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    pool: str
    entries: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pool: _Optional[str] = ..., entries: _Optional[_Iterable[str]] = ...) -> None: ...

class OverwritePoolAclResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UpdatePoolAclRequest(_message.Message):
    __slots__ = ("pool", "entries")
    POOL_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    pool: str
    entries: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pool: _Optional[str] = ..., entries: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdatePoolAclResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeletePoolAclRequest(_message.Message):
    __slots__ = ("pool", "principal", "all")
    POOL_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    principal: str
    all: bool
    def __init__(self, pool: _Optional[str] = ..., principal: _Optional[str] = ..., all: bool = ...) -> None: ...

class DeletePoolAclResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetPoolOwnerRequest(_message.Message):
    __slots__ = ("pool", "owner", "group")
    POOL_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    pool: str
    owner: str
    group: str
    def __init__(self, pool: _Optional[str] = ..., owner: _Optional[str] = ..., group: _Optional[str] = ...) -> None: ...

class SetPoolOwnerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetContainerAclRequest(_message.Message):
    __slots__ = ("container",)
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    container: str
    def __init__(self, container: _Optional[str] = ...) -> None: ...

class GetContainerAclResponse(_message.Message):
    __slots__ = ("access",)
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    access: AccessControl
    def __init__(self, access: _Optional[_Union[AccessControl, _Mapping]] = ...) -> None: ...

class OverwriteContainerAclRequest(_message.Message):
    __slots__ = ("container", "entries")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    container: str
    entries: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, container: _Optional[str] = ..., entries: _Optional[_Iterable[str]] = ...) -> None: ...

class OverwriteContainerAclResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UpdateContainerAclRequest(_message.Message):
    __slots__ = ("container", "entries")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    container: str
    entries: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, container: _Optional[str] = ..., entries: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateContainerAclResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteContainerAclRequest(_message.Message):
    __slots__ = ("container", "principal", "all")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    container: str
    principal: str
    all: bool
    def __init__(self, container: _Optional[str] = ..., principal: _Optional[str] = ..., all: bool = ...) -> None: ...

class DeleteContainerAclResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetContainerOwnerRequest(_message.Message):
    __slots__ = ("container", "owner", "group")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    container: str
    owner: str
    group: str
    def __init__(self, container: _Optional[str] = ..., owner: _Optional[str] = ..., group: _Optional[str] = ...) -> None: ...

class SetContainerOwnerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

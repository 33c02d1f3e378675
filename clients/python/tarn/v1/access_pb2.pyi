from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Access(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCESS_UNSPECIFIED: _ClassVar[Access]
    ACCESS_CALLER: _ClassVar[Access]
    ACCESS_READER: _ClassVar[Access]
    ACCESS_WRITER: _ClassVar[Access]
    ACCESS_ADMIN: _ClassVar[Access]
    ACCESS_RAW: _ClassVar[Access]

class Permission(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PERMISSION_UNSPECIFIED: _ClassVar[Permission]
    PERMISSION_NONE: _ClassVar[Permission]
    PERMISSION_ROLE: _ClassVar[Permission]
    PERMISSION_VISIBLE: _ClassVar[Permission]
    PERMISSION_EACH: _ClassVar[Permission]
    PERMISSION_OPEN: _ClassVar[Permission]
    PERMISSION_READ: _ClassVar[Permission]
    PERMISSION_WRITE: _ClassVar[Permission]
    PERMISSION_CREATE_CONTAINER: _ClassVar[Permission]
    PERMISSION_DELETE_CONTAINER: _ClassVar[Permission]
    PERMISSION_SET_PROPERTIES: _ClassVar[Permission]
    PERMISSION_GET_ACL: _ClassVar[Permission]
    PERMISSION_SET_ACL: _ClassVar[Permission]
    PERMISSION_SET_OWNER: _ClassVar[Permission]
ACCESS_UNSPECIFIED: Access
ACCESS_CALLER: Access
ACCESS_READER: Access
ACCESS_WRITER: Access
ACCESS_ADMIN: Access
ACCESS_RAW: Access
PERMISSION_UNSPECIFIED: Permission
PERMISSION_NONE: Permission
PERMISSION_ROLE: Permission
PERMISSION_VISIBLE: Permission
PERMISSION_EACH: Permission
PERMISSION_OPEN: Permission
PERMISSION_READ: Permission
PERMISSION_WRITE: Permission
PERMISSION_CREATE_CONTAINER: Permission
PERMISSION_DELETE_CONTAINER: Permission
PERMISSION_SET_PROPERTIES: Permission
PERMISSION_GET_ACL: Permission
PERMISSION_SET_ACL: Permission
PERMISSION_SET_OWNER: Permission
ACCESS_FIELD_NUMBER: _ClassVar[int]
access: _descriptor.FieldDescriptor
PERMISSION_FIELD_NUMBER: _ClassVar[int]
permission: _descriptor.FieldDescriptor

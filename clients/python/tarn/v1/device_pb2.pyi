from tarn.v1 import access_pb2 as _access_pb2
from tarn.v1 import kv_pb2 as _kv_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetDeviceHealthRequest(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    def __init__(self, device: _Optional[str] = ...) -> None: ...

class GetDeviceHealthResponse(_message.Message):
    __slots__ = ("health",)
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    health: DeviceHealth
    def __init__(self, health: _Optional[_Union[DeviceHealth, _Mapping]] = ...) -> None: ...

class DeviceHealth(_message.Message):
    __slots__ = ("warnings", "temperature", "available_spare", "spare_threshold", "percentage_used", "sensors", "data_units_read", "data_units_written", "read_commands", "write_commands", "busy_minutes", "power_cycles", "power_on_hours", "unsafe_shutdowns", "media_errors", "error_log_entries", "warning_temperature_minutes", "critical_temperature_minutes")
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_SPARE_FIELD_NUMBER: _ClassVar[int]
    SPARE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_USED_FIELD_NUMBER: _ClassVar[int]
    SENSORS_FIELD_NUMBER: _ClassVar[int]
    DATA_UNITS_READ_FIELD_NUMBER: _ClassVar[int]
    DATA_UNITS_WRITTEN_FIELD_NUMBER: _ClassVar[int]
    READ_COMMANDS_FIELD_NUMBER: _ClassVar[int]
    WRITE_COMMANDS_FIELD_NUMBER: _ClassVar[int]
    BUSY_MINUTES_FIELD_NUMBER: _ClassVar[int]
    POWER_CYCLES_FIELD_NUMBER: _ClassVar[int]
    POWER_ON_HOURS_FIELD_NUMBER: _ClassVar[int]
    UNSAFE_SHUTDOWNS_FIELD_NUMBER: _ClassVar[int]
    MEDIA_ERRORS_FIELD_NUMBER: _ClassVar[int]
    ERROR_LOG_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    WARNING_TEMPERATURE_MINUTES_FIELD_NUMBER: _ClassVar[int]
    CRITICAL_TEMPERATURE_MINUTES_FIELD_NUMBER: _ClassVar[int]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    temperature: int
    available_spare: int
    spare_threshold: int
    percentage_used: int
    sensors: _containers.RepeatedScalarFieldContainer[int]
    data_units_read: int
    data_units_written: int
    read_commands: int
    write_commands: int
    busy_minutes: int
    power_cycles: int
    power_on_hours: int
    unsafe_shutdowns: int
    media_errors: int
    error_log_entries: int
    warning_temperature_minutes: int
    critical_temperature_minutes: int
    def __init__(self, warnings: _Optional[_Iterable[str]] = ..., temperature: _Optional[int] = ..., available_spare: _Optional[int] = ..., spare_threshold: _Optional[int] = ..., percentage_used: _Optional[int] = ..., sensors: _Optional[_Iterable[int]] = ..., data_units_read: _Optional[int] = ..., data_units_written: _Optional[int] = ..., read_commands: _Optional[int] = ..., write_commands: _Optional[int] = ..., busy_minutes: _Optional[int] = ..., power_cycles: _Optional[int] = ..., power_on_hours: _Optional[int] = ..., unsafe_shutdowns: _Optional[int] = ..., media_errors: _Optional[int] = ..., error_log_entries: _Optional[int] = ..., warning_temperature_minutes: _Optional[int] = ..., critical_temperature_minutes: _Optional[int] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("uri", "kind", "driver", "model", "serial", "backend", "note", "twin", "size", "logical_block", "physical_block", "memory_alignment", "offset_alignment", "max_transfer", "optimal_io", "atomic_write", "direct", "volatile_cache", "rotational", "read_only", "in_use", "nsid", "csi", "zones")
    URI_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    TWIN_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_BLOCK_FIELD_NUMBER: _ClassVar[int]
    PHYSICAL_BLOCK_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ALIGNMENT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_ALIGNMENT_FIELD_NUMBER: _ClassVar[int]
    MAX_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    OPTIMAL_IO_FIELD_NUMBER: _ClassVar[int]
    ATOMIC_WRITE_FIELD_NUMBER: _ClassVar[int]
    DIRECT_FIELD_NUMBER: _ClassVar[int]
    VOLATILE_CACHE_FIELD_NUMBER: _ClassVar[int]
    ROTATIONAL_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    IN_USE_FIELD_NUMBER: _ClassVar[int]
    NSID_FIELD_NUMBER: _ClassVar[int]
    CSI_FIELD_NUMBER: _ClassVar[int]
    ZONES_FIELD_NUMBER: _ClassVar[int]
    uri: str
    kind: str
    driver: str
    model: str
    serial: str
    backend: str
    note: str
    twin: str
    size: int
    logical_block: int
    physical_block: int
    memory_alignment: int
    offset_alignment: int
    max_transfer: int
    optimal_io: int
    atomic_write: int
    direct: bool
    volatile_cache: bool
    rotational: bool
    read_only: bool
    in_use: bool
    nsid: int
    csi: int
    zones: DeviceZones
    def __init__(self, uri: _Optional[str] = ..., kind: _Optional[str] = ..., driver: _Optional[str] = ..., model: _Optional[str] = ..., serial: _Optional[str] = ..., backend: _Optional[str] = ..., note: _Optional[str] = ..., twin: _Optional[str] = ..., size: _Optional[int] = ..., logical_block: _Optional[int] = ..., physical_block: _Optional[int] = ..., memory_alignment: _Optional[int] = ..., offset_alignment: _Optional[int] = ..., max_transfer: _Optional[int] = ..., optimal_io: _Optional[int] = ..., atomic_write: _Optional[int] = ..., direct: bool = ..., volatile_cache: bool = ..., rotational: bool = ..., read_only: bool = ..., in_use: bool = ..., nsid: _Optional[int] = ..., csi: _Optional[int] = ..., zones: _Optional[_Union[DeviceZones, _Mapping]] = ...) -> None: ...

class DeviceZones(_message.Message):
    __slots__ = ("count", "bytes", "max_open", "max_active")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    count: int
    bytes: int
    max_open: int
    max_active: int
    def __init__(self, count: _Optional[int] = ..., bytes: _Optional[int] = ..., max_open: _Optional[int] = ..., max_active: _Optional[int] = ...) -> None: ...

class ListDevicesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDevicesResponse(_message.Message):
    __slots__ = ("devices", "next_page_token")
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    next_page_token: str
    def __init__(self, devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDeviceRequest(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    def __init__(self, device: _Optional[str] = ...) -> None: ...

class GetDeviceResponse(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: Device
    def __init__(self, device: _Optional[_Union[Device, _Mapping]] = ...) -> None: ...

class ReadDeviceRequest(_message.Message):
    __slots__ = ("device", "offset", "length", "checksum_type")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_TYPE_FIELD_NUMBER: _ClassVar[int]
    device: str
    offset: int
    length: int
    checksum_type: _kv_pb2.ChecksumType
    def __init__(self, device: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., checksum_type: _Optional[_Union[_kv_pb2.ChecksumType, str]] = ...) -> None: ...

class ReadDeviceResponse(_message.Message):
    __slots__ = ("header", "data", "trailer")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TRAILER_FIELD_NUMBER: _ClassVar[int]
    header: ReadDeviceHeader
    data: bytes
    trailer: ReadDeviceTrailer
    def __init__(self, header: _Optional[_Union[ReadDeviceHeader, _Mapping]] = ..., data: _Optional[bytes] = ..., trailer: _Optional[_Union[ReadDeviceTrailer, _Mapping]] = ...) -> None: ...

class ReadDeviceHeader(_message.Message):
    __slots__ = ("size", "checksum_type")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_TYPE_FIELD_NUMBER: _ClassVar[int]
    size: int
    checksum_type: _kv_pb2.ChecksumType
    def __init__(self, size: _Optional[int] = ..., checksum_type: _Optional[_Union[_kv_pb2.ChecksumType, str]] = ...) -> None: ...

class ReadDeviceTrailer(_message.Message):
    __slots__ = ("checksum",)
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    checksum: bytes
    def __init__(self, checksum: _Optional[bytes] = ...) -> None: ...

class WriteDeviceRequest(_message.Message):
    __slots__ = ("header", "data", "commit")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    header: WriteDeviceHeader
    data: bytes
    commit: WriteDeviceCommit
    def __init__(self, header: _Optional[_Union[WriteDeviceHeader, _Mapping]] = ..., data: _Optional[bytes] = ..., commit: _Optional[_Union[WriteDeviceCommit, _Mapping]] = ...) -> None: ...

class WriteDeviceHeader(_message.Message):
    __slots__ = ("device", "offset", "size", "checksum_type")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_TYPE_FIELD_NUMBER: _ClassVar[int]
    device: str
    offset: int
    size: int
    checksum_type: _kv_pb2.ChecksumType
    def __init__(self, device: _Optional[str] = ..., offset: _Optional[int] = ..., size: _Optional[int] = ..., checksum_type: _Optional[_Union[_kv_pb2.ChecksumType, str]] = ...) -> None: ...

class WriteDeviceCommit(_message.Message):
    __slots__ = ("checksum",)
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    checksum: bytes
    def __init__(self, checksum: _Optional[bytes] = ...) -> None: ...

class WriteDeviceResponse(_message.Message):
    __slots__ = ("size",)
    SIZE_FIELD_NUMBER: _ClassVar[int]
    size: int
    def __init__(self, size: _Optional[int] = ...) -> None: ...

class FlushDeviceRequest(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    def __init__(self, device: _Optional[str] = ...) -> None: ...

class FlushDeviceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DiscardDeviceRequest(_message.Message):
    __slots__ = ("device", "offset", "length")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    device: str
    offset: int
    length: int
    def __init__(self, device: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class DiscardDeviceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

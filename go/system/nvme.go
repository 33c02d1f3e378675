// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"io"
)

// NVMe asks an NVMe controller what it says of itself: tarn/nvme.h. A namespace of 0 is that of the path it was opened by. Calls wait for
// the controller, at most the kernel's timeout, and do not end with their context. Safe for concurrent use.
type NVMe interface {
	NSID() uint32 // of the path it was opened by; 0: a controller's
	// The pages that these are decoded from come with them, as they are.
	Controller(ctx context.Context) (NVMeController, []byte, error)
	Namespace(ctx context.Context, nsid uint32) (NVMeNamespace, []byte, error)
	Namespaces(ctx context.Context) ([]uint32, error)
	CommandSets(ctx context.Context) ([]uint32, error)
	Health(ctx context.Context) (NVMeHealth, []byte, error)
	Firmware(ctx context.Context) (NVMeFirmware, []byte, error)
	Errors(ctx context.Context, max int) ([]NVMeError, error) // the newest first
	// LogPage reads a part of a log page, as it is. nsid as it is: NVMeAll for most pages.
	LogPage(ctx context.Context, lid uint8, nsid uint32, offset uint64, length int) ([]byte, error)
	// Feature reads a feature, and the first bytes of its data, when it has some.
	Feature(ctx context.Context, fid uint8, from NVMeSelect, nsid uint32, data []byte) (value uint32, err error)
	// SetFeature needs one that was opened for writing: else EP_RO.
	SetFeature(ctx context.Context, fid uint8, nsid uint32, value uint32, save bool, data []byte) error
	io.Closer
}

// LocalNVMe is what a LocalDevices may have beside: the NVMe controllers of this machine.
type LocalNVMe interface {
	// OpenNVMe opens a controller, or a namespace, by its path or URI. INVAL when it is no NVMe device.
	OpenNVMe(path string, write bool) (NVMe, error)
}

// NVMeAll is the namespace id that stands for all of them.
const NVMeAll = 0xffffffff

// NVMeSelect says which value of a feature is meant.
type NVMeSelect int

// The values of a feature. NVMeSupported is not a value but what can be done with it: bit 0 saved, 1 set for each namespace, 2 changed.
const (
	NVMeCurrent NVMeSelect = iota
	NVMeDefault
	NVMeSaved
	NVMeSupported
)

// NVMeController is what Identify Controller says. Temperatures are in kelvin. Names in brackets are those of the specification.
type NVMeController struct {
	Serial              string   `json:"serial"`
	Model               string   `json:"model"`
	Firmware            string   `json:"firmware"`
	SubNQN              string   `json:"subnqn"`
	Version             string   `json:"version"`              // "1.4.0"; "": before 1.2
	Namespaces          uint32   `json:"namespaces"`           // the largest id [NN]
	MaxTransfer         uint32   `json:"max_transfer"`         // bytes [MDTS]; 0: no limit
	ErrorLogEntries     uint32   `json:"error_log_entries"`    // [ELPE]
	OptionalIO          []string `json:"optional_io"`          // [ONCS]
	OptionalAdmin       []string `json:"optional_admin"`       // [OACS]
	WarningTemperature  uint32   `json:"warning_temperature"`  // [WCTEMP]
	CriticalTemperature uint32   `json:"critical_temperature"` // [CCTEMP]
	Vendor              uint16   `json:"vendor"`               // PCI [VID]
	SubsystemVendor     uint16   `json:"subsystem_vendor"`     // [SSVID]
	ControllerID        uint16   `json:"controller_id"`        // [CNTLID]
	PowerStates         uint16   `json:"power_states"`         // [NPSS]
	FirmwareSlots       uint16   `json:"firmware_slots"`       // [FRMW]
	Type                uint16   `json:"type"`                 // 1 I/O, 2 discovery, 3 administrative; 0: not reported
	VolatileCache       bool     `json:"volatile_cache"`       // [VWC]
	AtomicBlocks        uint32   `json:"atomic_blocks"`        // [AWUN]
	AtomicPowerBlocks   uint32   `json:"atomic_power_blocks"`  // [AWUPF]
	OUI                 uint32   `json:"ieee_oui"`             //
	Capacity            uint64   `json:"capacity"`             // bytes [TNVMCAP]
	Unallocated         uint64   `json:"unallocated_capacity"` // bytes [UNVMCAP]
}

// NVMeNamespace is what Identify Namespace says. Sizes are in bytes.
type NVMeNamespace struct {
	NSID              uint32       `json:"nsid"`
	CSI               uint32       `json:"csi"`      // command set: 0 NVM, 1 key-value, 2 zoned
	Size              uint64       `json:"size"`     // [NSZE]
	Capacity          uint64       `json:"capacity"` // [NCAP]
	Used              uint64       `json:"used"`     // [NUSE]
	NVMCapacity       uint64       `json:"nvm_capacity"`
	Block             uint32       `json:"block"`
	Metadata          uint32       `json:"metadata"` // for each block
	MetadataExtended  bool         `json:"metadata_extended"`
	Protection        uint32       `json:"protection"` // type of protection information; 0: none
	Thin              bool         `json:"thin"`
	ReadOnly          bool         `json:"read_only"`
	Shared            bool         `json:"shared"`
	AtomicBlocks      uint32       `json:"atomic_blocks"`
	AtomicPowerBlocks uint32       `json:"atomic_power_blocks"`
	OptimalWrite      uint32       `json:"optimal_write"`
	MaxOpenZones      uint32       `json:"max_open_zones"`
	MaxActiveZones    uint32       `json:"max_active_zones"`
	ZoneBytes         uint64       `json:"zone_bytes"` // 0: not zoned
	NGUID             string       `json:"nguid"`      // in hexadecimal; "": none
	EUI64             string       `json:"eui64"`      // the same
	UUID              string       `json:"uuid"`       // "": none
	Format            uint32       `json:"format"`     // the one in use
	Formats           []NVMeFormat `json:"formats"`
}

// NVMeFormat is a format that a namespace can have. Sizes are in bytes.
type NVMeFormat struct {
	Block       uint32 `json:"block"`       // 0: the format is not available
	Metadata    uint16 `json:"metadata"`    // for each block
	Performance uint16 `json:"performance"` // 0 (best) to 3
	ZoneBytes   uint64 `json:"zone_bytes"`
}

// NVMeHealth is the log page SMART / Health Information. Temperatures are in kelvin; a data unit has 512,000 bytes.
type NVMeHealth struct {
	Warnings                   []string `json:"warnings"` // "spare", "temperature", "reliability", "read-only", "backup"
	Temperature                uint32   `json:"temperature"`
	AvailableSpare             uint32   `json:"available_spare"` // percent
	SpareThreshold             uint32   `json:"spare_threshold"` // percent
	PercentageUsed             uint32   `json:"percentage_used"` // of the life; may exceed 100
	Sensors                    []uint32 `json:"sensors"`
	DataUnitsRead              uint64   `json:"data_units_read"`
	DataUnitsWritten           uint64   `json:"data_units_written"`
	ReadCommands               uint64   `json:"read_commands"`
	WriteCommands              uint64   `json:"write_commands"`
	BusyMinutes                uint64   `json:"busy_minutes"`
	PowerCycles                uint64   `json:"power_cycles"`
	PowerOnHours               uint64   `json:"power_on_hours"`
	UnsafeShutdowns            uint64   `json:"unsafe_shutdowns"`
	MediaErrors                uint64   `json:"media_errors"`
	ErrorLogEntries            uint64   `json:"error_log_entries"`
	WarningTemperatureMinutes  uint64   `json:"warning_temperature_minutes"`
	CriticalTemperatureMinutes uint64   `json:"critical_temperature_minutes"`
}

// NVMeFirmware is the log page Firmware Slot Information.
type NVMeFirmware struct {
	Active    uint32   `json:"active"`    // slot 1 to 7
	Next      uint32   `json:"next"`      // at the next reset; 0: the same
	Revisions []string `json:"revisions"` // of slot 1 to 7; "": empty
}

// NVMeError is an entry of the log page Error Information.
type NVMeError struct {
	Number    uint64 `json:"number"`
	LBA       uint64 `json:"lba"`
	NSID      uint32 `json:"nsid"`
	Queue     uint16 `json:"queue"`
	Command   uint16 `json:"command"`
	Status    uint16 `json:"status"`
	Name      string `json:"name"`      // of the status
	Parameter uint16 `json:"parameter"` // where in the command; 0xffff: not there
}

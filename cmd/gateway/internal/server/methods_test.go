// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/service"
	"github.com/tarn-storage/tarn/cmd/internal/fakedev"
	"github.com/tarn-storage/tarn/cmd/internal/localdev"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func wantGRPC(t *testing.T, what string, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

// TestRenameIsSeen: handles that the gateway keeps under the old name, whatever the pool and the container were called, are given out no more; a
// stream that has begun goes on.
func TestRenameIsSeen(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0"})
	sys := dial(t, s.Addr())
	kv := openKV(t, sys)
	wantNil(t, kv.Put(t.Context(), []byte("a"), bytes.Repeat([]byte("v"), 32<<20)))
	pools, err := sys.Pools(t.Context())
	wantNil(t, err)
	old := []string{"tank/neo/stadium", pools[0].UUID + "/neo/stadium"}
	conn := connect(t, s.Addr())
	kvs, objects := apiv1.NewKeyValueServiceClient(conn), apiv1.NewObjectServiceClient(conn)
	for _, name := range old {
		_, err := kvs.Head(t.Context(), &apiv1.HeadRequest{Object: name, Key: []byte("a")})
		wantNil(t, err)
	}
	r, err := kv.Reader(t.Context(), []byte("a"))
	wantNil(t, err)
	resp, err := objects.RenameObject(t.Context(), &apiv1.RenameObjectRequest{Object: old[1], NewName: "arena"})
	if err != nil || resp.GetObject().GetName() != "arena" {
		t.Errorf("RenameObject: %v, %v", resp, err)
	}
	for _, name := range old {
		_, err := kvs.Put(t.Context(), &apiv1.PutRequest{Object: name, Key: []byte("b"), Value: []byte("lost")})
		wantGRPC(t, "Put under the old name "+name, err, codes.NotFound)
	}
	var all bytes.Buffer
	if n, err := all.ReadFrom(r); err != nil || n != 32<<20 {
		t.Errorf("the stream had %d bytes, %v", n, err)
	}
	wantNil(t, r.Close())
	_, err = objects.DeleteObject(t.Context(), &apiv1.DeleteObjectRequest{Object: "tank/neo/arena"})
	wantNil(t, err)
}

// TestAttributeMasks: what update_mask, read_mask and etag mean, for a container and a pool.
func TestAttributeMasks(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0"})
	openKV(t, dial(t, s.Addr()))
	conn := connect(t, s.Addr())
	containers, pools := apiv1.NewContainerServiceClient(conn), apiv1.NewPoolServiceClient(conn)
	type answer interface {
		GetAttributes() map[string][]byte
		GetEtag() string
	}
	type change struct {
		given []string // name, value
		mask  []string
		etag  string
	}
	update := map[string]func(change) (answer, error){
		"container": func(c change) (answer, error) {
			req := &apiv1.UpdateContainerRequest{Container: "tank/neo", Attributes: pairs(c.given), Etag: c.etag}
			if c.mask != nil {
				req.UpdateMask = mask(c.mask...)
			}
			resp, err := containers.UpdateContainer(t.Context(), req)
			return resp.GetContainer(), err
		},
		"pool": func(c change) (answer, error) {
			req := &apiv1.UpdatePoolRequest{Pool: "tank", Attributes: pairs(c.given), Etag: c.etag}
			if c.mask != nil {
				req.UpdateMask = mask(c.mask...)
			}
			resp, err := pools.UpdatePool(t.Context(), req)
			return resp.GetPool(), err
		},
	}
	for what, do := range update {
		etag := ""
		for i, c := range []struct {
			change
			code codes.Code
			want string
		}{
			{change{given: []string{"a", "1", "b", "2", "c.d", "3"}}, codes.OK, "a=1 b=2 c.d=3"},
			{change{given: []string{"a", "9", "x", "9"}, mask: []string{"attributes.a"}}, codes.OK, "a=9 b=2 c.d=3"},
			{change{given: []string{"b", ""}, mask: []string{"attributes.b", "attributes.c.d"}}, codes.OK, "a=9"},
			{change{mask: []string{"attributes.none"}}, codes.NotFound, "a=9"},
			{change{given: []string{"a", "1"}, etag: "ETAG"}, codes.OK, "a=1"},
			{change{given: []string{"a", "2"}, etag: "00"}, codes.Aborted, "a=1"},
			{change{given: []string{"a", "1"}, mask: []string{"attributes.a"}}, codes.OK, "a=1"},
			{change{given: []string{"n", "1"}, mask: []string{"attributes"}}, codes.OK, "n=1"},
			{change{given: []string{"n", "1"}, mask: []string{"attributes", "label"}}, codes.InvalidArgument, "n=1"},
			{change{mask: []string{"attributes"}}, codes.OK, ""},
			{change{given: []string{strings.Repeat("x", system.AttributeNameMax+1), "1"}}, codes.InvalidArgument, ""},
			{change{given: []string{"x", strings.Repeat("1", system.AttributeValueMax+1)}}, codes.InvalidArgument, ""},
		} {
			if c.etag == "ETAG" {
				c.etag = etag
			}
			got, err := do(c.change)
			wantGRPC(t, what, err, c.code)
			if err != nil {
				continue
			}
			if shown(got.GetAttributes()) != c.want || got.GetEtag() == "" {
				t.Errorf("%s, change %d: %q with the etag %q, want %q", what, i, shown(got.GetAttributes()), got.GetEtag(), c.want)
			}
			etag = got.GetEtag()
		}
	}
	_, err := containers.UpdateContainer(t.Context(), &apiv1.UpdateContainerRequest{Container: "tank/neo", Attributes: pairs([]string{"a", "1"}),
		Properties: &apiv1.ContainerProperties{}})
	wantGRPC(t, "both at once", err, codes.InvalidArgument)
}

// TestReadMask: what of a container is answered, and which view of a pool has attributes.
func TestReadMask(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0"})
	openKV(t, dial(t, s.Addr()))
	conn := connect(t, s.Addr())
	containers, pools := apiv1.NewContainerServiceClient(conn), apiv1.NewPoolServiceClient(conn)
	_, err := containers.UpdateContainer(t.Context(), &apiv1.UpdateContainerRequest{Container: "tank/neo", Attributes: pairs([]string{"a", "1"})})
	wantNil(t, err)
	for paths, want := range map[string]string{"": "uuid label no", "attributes": "yes", "label,etag": "label etag", "*": "uuid label yes etag"} {
		req := &apiv1.GetContainerRequest{Container: "tank/neo"}
		if paths != "" {
			req.ReadMask = mask(strings.Split(paths, ",")...)
		}
		resp, err := containers.GetContainer(t.Context(), req)
		wantNil(t, err)
		c := resp.GetContainer()
		for word, is := range map[string]bool{"uuid": c.GetUuid() != "", "label": c.GetLabel() != "", "yes": len(c.GetAttributes()) == 1, "etag": c.GetEtag() != ""} {
			if is != slices.Contains(strings.Fields(want), word) {
				t.Errorf("read_mask %q: %v; want %s", paths, c, want)
			}
		}
	}
	_, err = containers.GetContainer(t.Context(), &apiv1.GetContainerRequest{Container: "tank/neo", ReadMask: mask("nothing")})
	wantGRPC(t, "read_mask of no field", err, codes.InvalidArgument)
	pool, err := pools.GetPool(t.Context(), &apiv1.GetPoolRequest{Pool: "tank", View: apiv1.PoolView_POOL_VIEW_FULL})
	if err != nil || pool.GetPool().GetEtag() != "" || pool.GetPool().GetEngine() == nil {
		t.Errorf("GetPool FULL: %v, %v", pool, err)
	}
}

// TestNamesOverHTTP: what docs/gateway.md shows.
func TestNamesOverHTTP(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
	openKV(t, dial(t, s.Addr()))
	site, neo := overHTTP(t, s), "/v1/pools/tank/containers/neo"
	wantIn := func(what, got, want string) {
		t.Helper()
		if !strings.Contains(strings.ReplaceAll(got, " ", ""), want) {
			t.Errorf("%s: %s, want %s in it", what, got, want)
		}
	}
	wantIn("update", site.ok("POST", neo+":update", `{"attributes": {"team": "c3RvcmFnZQ=="}}`), `"attributes":{"team":"c3RvcmFnZQ=="}`)
	wantIn("read", site.ok("GET", neo+"?readMask=attributes", ""), `"attributes":{"team":"c3RvcmFnZQ=="},"etag":""`)
	wantIn("properties", site.ok("PATCH", neo, `{"description": "of stadiums"}`), `"description":"ofstadiums"`)
	wantIn("pool", site.ok("PATCH", "/v1/pools/tank", `{"attributes": {"rack": "Nw=="}, "updateMask": "attributes.rack"}`), `"attributes":{"rack":"Nw=="}`)
	wantIn("pool again", site.ok("GET", "/v1/pools/tank?view=POOL_VIEW_ATTRIBUTES", ""), `"rack":"Nw=="`)
	wantIn("rename", site.ok("POST", neo+"/objects/stadium:rename", `{"newName": "arena"}`), `"name":"arena"`)
	if got := site.do("GET", neo+"/objects/stadium", ""); got.StatusCode != 404 {
		t.Errorf("under the old name: %d %s", got.StatusCode, got.text)
	}
}

func pairs(words []string) map[string][]byte {
	all := map[string][]byte{}
	for i := 0; i+1 < len(words); i += 2 {
		all[words[i]] = []byte(words[i+1])
	}
	return all
}

func shown(all map[string][]byte) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		words = append(words, name+"="+string(all[name]))
	}
	return strings.Join(words, " ")
}

// TestEtagRace: of many who change what they have read at once, one is let at a time, and none is lost.
func TestEtagRace(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0"})
	openKV(t, dial(t, s.Addr()))
	pools := apiv1.NewPoolServiceClient(connect(t, s.Addr()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for done := 0; done < 5; {
				now, err := pools.GetPool(t.Context(), &apiv1.GetPoolRequest{Pool: "tank", View: apiv1.PoolView_POOL_VIEW_ATTRIBUTES})
				if err != nil {
					t.Error(err)
					return
				}
				next := string(now.GetPool().GetAttributes()["n"]) + "+"
				_, err = pools.UpdatePool(t.Context(), &apiv1.UpdatePoolRequest{Pool: "tank", Attributes: pairs([]string{"n", next}), Etag: now.GetPool().GetEtag()})
				switch status.Code(err) {
				case codes.OK:
					done++
				case codes.Aborted:
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	last, err := pools.GetPool(t.Context(), &apiv1.GetPoolRequest{Pool: "tank", View: apiv1.PoolView_POOL_VIEW_ATTRIBUTES})
	if got := last.GetPool().GetAttributes()["n"]; err != nil || len(got) != 40 {
		t.Errorf("40 changes left %q, %v", got, err)
	}
}

// TestOperate: statistics that go on, settings, the log level, and the end.
func TestOperate(t *testing.T) {
	level := &slog.LevelVar{}
	s := begin(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", LogLevel: level,
		Settings: []service.Setting{{Name: "listen", Value: "127.0.0.1:0", Source: "flag"}, {Name: "log-level", Value: "INFO", Source: "default"}}})
	sys := dial(t, s.Addr())
	previous, err := sys.SetLogLevel(t.Context(), slog.LevelWarn)
	if err != nil || previous != slog.LevelInfo || level.Level() != slog.LevelWarn {
		t.Errorf("SetLogLevel: %v, %v; the level is %v", previous, err, level)
	}
	_, err = sys.SetLogLevel(t.Context(), slog.Level(3))
	wantCode(t, "a level without a name", err, errno.Inval)
	settings, err := sys.Config(t.Context())
	want := []system.Setting{{Name: "listen", Value: "127.0.0.1:0", Source: "flag"}, {Name: "log-level", Value: "WARN", Source: "SetLogLevel"}}
	if err != nil || !slices.Equal(settings, want) {
		t.Errorf("Config: %v, %v; want %v", settings, err, want)
	}
	site := overHTTP(t, s)
	for path, says := range map[string]string{"/v1/server:config": `"source":"SetLogLevel"`} {
		if got := strings.ReplaceAll(site.ok("GET", path, ""), " ", ""); !strings.Contains(got, says) {
			t.Errorf("%s: %s, want %s in it", path, got, says)
		}
	}
	site.ok("POST", "/v1/server:setLogLevel", `{"level": "LOG_LEVEL_INFO"}`)

	for _, err := range sys.WatchStats(t.Context(), 10*time.Millisecond) {
		wantCode(t, "WatchStats every 10 ms", err, errno.Inval)
	}
	answers, last := 0, uint64(0)
	for stats, err := range sys.WatchStats(t.Context(), 100*time.Millisecond) {
		if err != nil { // it ends because the gateway does
			wantCode(t, "WatchStats", err, errno.Shutdown)
			break
		}
		calls := uint64(0)
		for _, m := range stats.Methods {
			calls += m.Calls
		}
		if answers++; calls < last || calls == 0 {
			t.Errorf("answer %d has %d calls, the one before %d", answers, calls, last)
		}
		if last = calls; answers == 3 {
			wantNil(t, sys.Drain(t.Context()))
			wantNil(t, sys.Drain(t.Context()))
			<-s.Asked()
			go func() { // as the program does
				if err := s.Stop(); err != nil {
					t.Error(err)
				}
			}()
		}
	}
	if answers < 3 {
		t.Errorf("there were %d answers", answers)
	}
	<-s.stopped
}

// TestOperateNot: a gateway inside of another program has no settings and no log of its own.
func TestOperateNot(t *testing.T) {
	s := start(t, Config{System: quiet(), Listen: "127.0.0.1:0"})
	sys := dial(t, s.Addr())
	_, err := sys.Config(t.Context())
	wantCode(t, "Config", err, errno.NotSupported)
	_, err = sys.SetLogLevel(t.Context(), slog.LevelInfo)
	wantCode(t, "SetLogLevel", err, errno.NotSupported)
}

// withNVMe are devices of which one reports its health.
type withNVMe struct{ *fakedev.Devices }

type nvme struct {
	system.NVMe
	d *fakedev.Devices
}

func (d withNVMe) OpenNVMe(path string, _ bool) (system.NVMe, error) {
	if path != "/dev/fake0n1" {
		return nil, errno.New("nvme open", path, errno.Inval, "it is no NVMe device")
	}
	return nvme{d: d.Devices}, nil
}

func (n nvme) Close() error { return nil }

func (n nvme) Health(context.Context) (system.NVMeHealth, []byte, error) {
	return system.NVMeHealth{Warnings: []string{"spare"}, Temperature: 313, AvailableSpare: 5, PercentageUsed: 101, Sensors: []uint32{313, 320},
		DataUnitsWritten: 1<<64 - 1, MediaErrors: 7, CriticalTemperatureMinutes: 1}, nil, nil
}

func TestDeviceHealth(t *testing.T) {
	dev := fakedev.New()
	dev.Add(disk, "block", "Fast 1", 1<<20)
	dev.Add("file:/data/image", "file", "", 1<<20)
	dir := t.TempDir()
	s := start(t, Config{System: quiet(), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Socket: dir + "/sock", Devices: withNVMe{dev}})
	local := dial(t, "unix:"+dir+"/sock")
	want, _, _ := nvme{}.Health(t.Context())
	got, err := local.DeviceHealth(t.Context(), disk)
	if err != nil || got.Temperature != want.Temperature || got.DataUnitsWritten != want.DataUnitsWritten || !slices.Equal(got.Sensors, want.Sensors) ||
		!slices.Equal(got.Warnings, want.Warnings) || got.MediaErrors != 7 || got.PercentageUsed != 101 || got.CriticalTemperatureMinutes != 1 {
		t.Errorf("DeviceHealth = %+v, %v; want %+v", got, err, want)
	}
	for uri, code := range map[string]errno.Code{"file:/data/image": errno.NotSupported, "block:/dev/none": errno.NonExist, "": errno.Inval, "mem:1M": errno.Inval} {
		_, err := local.DeviceHealth(t.Context(), uri)
		wantCode(t, "DeviceHealth of "+uri, err, code)
	}
	_, err = dial(t, s.Addr()).DeviceHealth(t.Context(), disk)
	wantCode(t, "DeviceHealth over TCP", err, errno.NoPerm)
}

// TestDeviceHealthReal: a file of this machine reports nothing.
func TestDeviceHealthReal(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{System: engine(t, dir+"/root"), Socket: dir + "/sock", Devices: localdev.Devices{}})
	sys := dial(t, "unix:"+dir+"/sock")
	_, err := sys.CreatePool(t.Context(), "tank", system.CreatePool{Size: 16 << 20})
	wantNil(t, err)
	_, err = sys.DeviceHealth(t.Context(), "file:"+dir+"/root/tank.pool")
	wantCode(t, "DeviceHealth of a file", err, errno.NotSupported)
}

// TestZeroedPool: the wish for a pool that is written when it is made comes to the engine.
func TestZeroedPool(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{System: engine(t, dir)})
	_, err := dial(t, s.Addr()).CreatePool(t.Context(), "tank", system.CreatePool{Size: 16 << 20, Zeroed: true})
	wantNil(t, err)
	file, err := os.Open(dir + "/tank.pool")
	wantNil(t, err)
	defer file.Close()
	const seekHole = 4 // of Linux's lseek
	hole, err := file.Seek(0, seekHole)
	wantNil(t, err)
	if hole != 16<<20 {
		t.Errorf("the first block that nobody has written is at %d", hole)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// place is where a process runs.
type place struct {
	cpus string // as taskset -c takes them
	idle bool   // it runs only while nobody else wants to (SCHED_IDLE): a processor is taken from it at once
}

// places says where the gateway runs, where who is polite and who offers load, where attackers, and where another gateway that they attack.
type places struct{ gateway, client, attacker, other place }

func placesOf(shared bool) places {
	n := runtime.NumCPU()
	all, first, others := fmt.Sprintf("0-%d", n-1), fmt.Sprintf("0-%d", n/2-1), fmt.Sprintf("%d-%d", n/2, n-1)
	switch {
	case n == 1:
		return places{place{all, false}, place{all, false}, place{all, true}, place{all, true}}
	case shared:
		return places{place{all, false}, place{others, false}, place{others, true}, place{all, true}}
	}
	return places{place{first, false}, place{others, false}, place{others, true}, place{first, true}}
}

func (p place) String() string {
	if p.idle {
		return "processors " + p.cpus + ", idle"
	}
	return "processors " + p.cpus
}

// command is a program that runs there.
func (p place) command(program string, args ...string) *exec.Cmd {
	line := []string{"taskset", "-c", p.cpus}
	if p.idle {
		line = append(line, "chrt", "-i", "0")
	}
	line = append(append(line, program), args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	return cmd
}

// job is a part of this program in a process of its own.
type job struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

// begin starts this program as what it is told to be, with what that needs to know.
func (p place) begin(what string, told any) (*job, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(told)
	if err != nil {
		return nil, err
	}
	j := &job{cmd: p.command(self, what)}
	j.cmd.Stdin, j.cmd.Stdout = bytes.NewReader(text), &j.out
	return j, j.cmd.Start()
}

// end waits for it, and reads what it says.
func (j *job) end(said any) error {
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(j.cmd.Args, " "), err)
	}
	return json.Unmarshal(j.out.Bytes(), said)
}

// tickTime is the unit of the processor times in /proc.
const tickTime = 10 * time.Millisecond

// usedBy is the processor time that a process has used.
func usedBy(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tickTime, nil
}

// memoryOf is what a process has in memory, and the most since forget, in MiB.
func memoryOf(pid int) (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			now = kib / 1024
		case "VmHWM:":
			most = kib / 1024
		}
	}
	return now, most, err
}

// forget makes the most that a process had what it has now.
func forget(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200)
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg") // "": not known
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// spareFiles are left to a process for everything that is no connection.
const spareFiles = 256

// raiseFileLimit raises the soft limit of open files as far as allowed, and returns it.
func raiseFileLimit(wanted uint64) uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	if limit.Max < wanted {
		// Needs CAP_SYS_RESOURCE: refused, the hard limit stays, and more processes make up for it.
		raised := syscall.Rlimit{Cur: wanted, Max: wanted}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			return wanted
		}
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Max
}

// A child ends when its stdin does, so it never outlives its parent.
type child struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	stdout  io.ReadCloser
}

func startChild(args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, args...)
	command.Stderr = os.Stderr
	// The terminal's Ctrl-C is for the parent, which then closes stdin.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &child{command, stdin, stdout}, command.Start()
}

func (c *child) opened() (silence, error) {
	var opened silence
	err := json.NewDecoder(c.stdout).Decode(&opened)
	return opened, err
}

func (c *child) stop() {
	c.stdin.Close()
	_ = c.command.Wait() // it ends by itself; its exit code says nothing more
}

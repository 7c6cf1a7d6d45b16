package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// statePlace and programsPlace are where everything inside finds the two folders that hold was given.
	statePlace    = "/run/testbed"
	programsPlace = "/run/programs"
	// readyLine is what the inner process says when its mounts are made.
	readyLine = "ready\n"
)

// hold STATE PROGRAMS makes namespaces of processes, mounts and network, and prints the id of the process that keeps
// them. Whatever is started inside ends with that process, and its mounts and interfaces go with it.
//
// Inside, /run is empty but for the two folders, and /var and /tmp are folders of STATE, so that nothing which runs
// there leaves a trace outside STATE.
func hold(arguments []string) error {
	switch {
	case len(arguments) == 2:
		return startKeeper(arguments[0], arguments[1])
	case len(arguments) == 3 && arguments[0] == "inside":
		return keep(arguments[1], arguments[2])
	default:
		return errors.New("usage: testbed hold STATE PROGRAMS")
	}
}

func startKeeper(state, programs string) error {
	// The keeper outlives this process, whose own streams may be pipes that somebody reads to their end.
	log, err := os.Create(filepath.Join(state, "keeper.log"))
	if err != nil {
		return err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	keeper := exec.Command("/proc/self/exe", "hold", "inside", state, programs)
	keeper.Args[0] = "testbed"
	keeper.Stderr = log
	keeper.ExtraFiles = []*os.File{tell}
	keeper.Dir = "/"
	keeper.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		Setsid:     true,
	}
	if err := keeper.Start(); err != nil {
		return fmt.Errorf("cannot make namespaces: %w", err)
	}
	if err := tell.Close(); err != nil {
		return err
	}
	line := make([]byte, len(readyLine))
	if count, err := told.Read(line); err != nil || string(line[:count]) != readyLine {
		return errors.Join(fmt.Errorf("the process inside the namespaces ended, see %s", log.Name()), keeper.Wait())
	}
	fmt.Println(keeper.Process.Pid)
	return nil
}

// keep is the first process inside: it makes the mounts, and then buries whoever dies without a parent.
func keep(state, programs string) error {
	if err := arrange(state, programs); err != nil {
		return err
	}
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	tell := os.NewFile(3, "the pipe to the process outside")
	if _, err := tell.WriteString(readyLine); err != nil {
		return err
	}
	if err := tell.Close(); err != nil {
		return err
	}
	for range died {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil || pid == 0 {
				break
			}
		}
	}
	return nil
}

// arrange makes the mounts. Both folders are opened before /run and /var hide what may lie below these.
func arrange(state, programs string) error {
	folders := map[string]string{}
	for place, folder := range map[string]string{statePlace: state, programsPlace: programs} {
		descriptor, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return fmt.Errorf("cannot open %s: %w", folder, err)
		}
		folders[place] = fmt.Sprintf("/proc/self/fd/%d", descriptor)
	}
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return err
	}
	for place, folder := range folders {
		if err := os.MkdirAll(place, 0o755); err != nil {
			return err
		}
		if err := mount(folder, place, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for _, name := range []string{"var", "tmp"} {
		own := filepath.Join(statePlace, name)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := mount(own, "/"+name, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", "/var/run"); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	// The kubelet and the runtime hand mounts to each other, as on a machine that systemd has set up.
	return mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("cannot mount %s: %w", target, err)
	}
	return nil
}

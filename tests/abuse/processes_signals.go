package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
)

// signalRows are signals to a dev at work.
var signalRows = []row{
	{id: "L1", what: "SIGTERM under load: all that was acknowledged is there afterwards", run: terminated},
	{id: "L1b", what: "SIGTERM twice at once, as timeout(1) and make send it: a clean end, nothing left behind", run: signalledTwice},
}

// terminated signs from four clients, sends SIGTERM, and asks again.
func terminated(w *world) (string, error) {
	dir, _, err := w.copyOf()
	if err != nil {
		return "", err
	}
	a, err := appliance.Start(w.bin, "--data", dir)
	if err != nil {
		return "", err
	}
	t, err := w.teamOf(a)
	if err != nil {
		return "", errors.Join(err, a.Stop())
	}
	var acknowledged sync.Map
	var count atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				body := t.body(typeCreate, object{"privateKeys": []object{{
					"privateKeyName": "t" + appliance.Now(), "curve": "CURVE_P256", "privateKeyTags": []string{}, "addressFormats": []string{},
				}}})
				done, err := served(t.w.http.Post(createPath, body, t.key()))
				if err != nil {
					return // it stops
				}
				acknowledged.Store(string(body), done.ID)
				count.Add(1)
			}
		})
	}
	<-time.After(300 * time.Millisecond)
	began := time.Now()
	if err := a.Stop(); err != nil {
		return "", err
	}
	took := time.Since(began)
	clients.Wait()
	if a, err = appliance.Start(w.bin, "--data", dir); err != nil {
		return "", err
	}
	t, err = w.teamOf(a)
	acknowledged.Range(func(body, id any) bool {
		var again *activity
		if again, err = served(t.w.http.Post(createPath, []byte(body.(string)), t.key())); err == nil && again.ID != id {
			err = fmt.Errorf("activity %s was %s", again.ID, id)
		}
		return err == nil
	})
	if err = errors.Join(err, a.Stop()); err != nil {
		return "", err
	}
	if count.Load() == 0 || took > 5*time.Second {
		return "", fmt.Errorf("%d acknowledged, stopped in %v", count.Load(), took)
	}
	return fmt.Sprintf("%d acknowledged, all there; stopped in %v", count.Load(), took.Round(time.Millisecond)), nil
}

func signalledTwice(w *world) (string, error) {
	a, err := appliance.Start(w.bin)
	if err != nil {
		return "", err
	}
	door, err := a.HostDoor()
	if err != nil {
		return "", errors.Join(err, a.Stop())
	}
	sockets := filepath.Dir(strings.TrimPrefix(door, "unix:"))
	for range 2 {
		if err := syscall.Kill(a.PID(appliance.Dev), syscall.SIGTERM); err != nil {
			return "", err
		}
		<-time.After(time.Millisecond) // or the two become one
	}
	if err := a.Wait(); err != nil {
		return "", fmt.Errorf("%w: %s", err, a.Stderr())
	}
	if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is left behind", sockets)
	}
	return "exit status 0, no folder left", nil
}

package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/tests/appliance"
)

// A folder is a dev's folder at rest, with what was acknowledged in it.
type folder struct {
	ready    appliance.Ready
	body     []byte
	activity string
}

var (
	theFolder     *folder
	theFolderPath string
)

// restFolder makes a folder with some entries, once.
func (w *world) restFolder() (*folder, error) {
	if theFolder != nil {
		return theFolder, nil
	}
	theFolderPath = filepath.Join(w.dir, "rest")
	a, err := appliance.Start(w.bin, "--data", theFolderPath)
	if err != nil {
		return nil, err
	}
	f := &folder{ready: a.Ready}
	t, err := w.teamOf(a)
	if err == nil {
		t.keyID, _, err = t.newKey("CURVE_SECP256K1")
	}
	var done *activity
	if err == nil {
		f.body = t.signBody()
		done, err = served(t.w.http.Post(signPath, f.body, t.key()))
	}
	if err = errors.Join(err, a.Stop()); err != nil {
		return nil, err
	}
	f.activity = done.ID
	theFolder = f
	return f, nil
}

// teamOf is the first organization of an appliance.
func (w *world) teamOf(a *appliance.Appliance) (*team, error) {
	w2 := &world{bin: w.bin, dir: w.dir, app: a, http: appliance.NewHTTP(a.BaseURL)}
	t := &team{w: w2, org: a.OrganizationID}
	for _, u := range a.Users {
		k, err := u.Key()
		if err != nil {
			return nil, err
		}
		t.keys = append(t.keys, k)
	}
	return t, nil
}

// copyOf makes a copy of the folder at rest.
func (w *world) copyOf() (string, *folder, error) {
	f, err := w.restFolder()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp(w.dir, "c")
	if err != nil {
		return "", nil, err
	}
	if err := os.CopyFS(dir, os.DirFS(theFolderPath)); err != nil {
		return "", nil, err
	}
	// What a copy loses.
	return dir, f, errors.Join(os.Chmod(filepath.Join(dir, "root.key"), 0o600), os.Chmod(filepath.Join(dir, "store"), 0o700))
}

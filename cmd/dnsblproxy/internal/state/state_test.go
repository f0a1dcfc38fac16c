package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestDir(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "new"))
	var got []int
	if found, err := d.Load("a/b", &got); found || err != nil {
		t.Fatalf("Load of nothing = %t, %v", found, err)
	}
	if err := d.Save("a/b", []int{1, 2}); err != nil {
		t.Fatal(err)
	}
	if found, err := d.Load("a/b", &got); !found || err != nil || len(got) != 2 {
		t.Fatalf("Load = %t, %v, %v; want what was saved", found, err, got)
	}
}

// TestDir_damaged: what cannot be read is not lost to what is saved next.
func TestDir_damaged(t *testing.T) {
	for what, spoil := range map[string]func(path string) error{
		"half a file": func(path string) error { return os.WriteFile(path, []byte("[1, 2"), 0o600) },
		"no file":     func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		d := Dir(t.TempDir())
		if err := spoil(d.path("x")); err != nil {
			t.Fatal(err)
		}
		var got []int
		if found, err := d.Load("x", &got); found || err == nil {
			t.Fatalf("Load of %s = %t, %v; want an error", what, found, err)
		}
		if _, err := os.Stat(d.path("x") + ".damaged"); err != nil {
			t.Errorf("%s was not kept: %v", what, err)
		}
		if found, err := d.Load("x", &got); found || err != nil {
			t.Errorf("second Load of %s = %t, %v; want nothing there", what, found, err)
		}
		if err := d.Save("x", []int{1}); err != nil {
			t.Errorf("Save after %s: %v", what, err)
		}
	}
}

func TestDir_off(t *testing.T) {
	if err := Dir("").Save("x", 1); err != nil {
		t.Error(err)
	}
	if found, err := Dir("").Load("x", new(int)); found || err != nil {
		t.Errorf("Load = %t, %v", found, err)
	}
}

func TestDir_Claim(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made := Dir(filepath.Join(root, "a", "b"))
	for range 2 { // what the first has left is no hindrance
		release, err := made.Claim()
		if err != nil {
			t.Fatalf("Claim of a folder of nobody's = %v", err)
		}
		if left, err := os.ReadDir(string(made)); err != nil || len(left) != 1 {
			t.Errorf("Claim leaves %v behind, %v; want the lock", left, err)
		}
		other, err := made.Claim()
		if !errors.Is(err, ErrTaken) {
			t.Errorf("Claim of a folder in use = %v, want %v", err, ErrTaken)
		}
		if err := errors.Join(other(), release()); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		if _, err := Dir(bad).Claim(); err == nil || errors.Is(err, ErrTaken) {
			t.Errorf("Claim of %s = %v, want what is wrong with it", bad, err)
		}
	}
	if _, err := Dir("").Claim(); err != nil {
		t.Errorf("Claim of nothing = %v", err)
	}
}

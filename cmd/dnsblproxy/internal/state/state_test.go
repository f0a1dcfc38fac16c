package state

import (
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

func TestDir_Check(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(root, "a", "b")
	if err := Dir(made).Check(); err != nil {
		t.Errorf("Check of a folder to be made = %v", err)
	}
	if left, err := os.ReadDir(made); err != nil || len(left) != 0 {
		t.Errorf("Check leaves %v behind, %v", left, err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		if err := Dir(bad).Check(); err == nil {
			t.Errorf("Check of %s finds nothing wrong", bad)
		}
	}
	if err := Dir("").Check(); err != nil {
		t.Errorf("Check of nothing = %v", err)
	}
}

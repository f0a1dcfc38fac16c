package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain builds the program once for all tests, with the race detector if
// the tests have it. -short leaves all of them out.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		fmt.Println("-short: no daemons are started, so nothing is tested here")
		return 0
	}
	if os.Getenv(binaryVariable) != "" {
		return m.Run() // a test runs itself again in another network namespace
	}
	dir, err := os.MkdirTemp("", "e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	argv := []string{"build", "-o", filepath.Join(dir, "dnsblproxy")}
	if raceEnabled {
		argv = append(argv, "-race")
	}
	build := exec.Command("go", append(argv, "dnsblproxy/cmd/dnsblproxy")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building dnsblproxy: %v\n%s", err, out)
		return 1
	}
	os.Setenv(binaryVariable, filepath.Join(dir, "dnsblproxy"))
	// The tests wait far more than they compute. A -parallel of the command
	// line still counts.
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "6")
	}
	return m.Run()
}

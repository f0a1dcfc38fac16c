package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kind is one program.
type Kind struct {
	Name string

	program string   // looked up in PATH
	conf    string   // its template, and the name of the file made of it
	args    []string // with @conf for that file, @dir for its folder
	version []string // arguments that make it tell its version
	under   []string // what runs it, with arguments
}

// Under is k as another program runs it, which is told k's path and arguments
// behind its own.
func (k Kind) Under(argv ...string) Kind {
	k.under = argv
	return k
}

// Bare, List and Proxy are the names of those that are no peers.
const (
	Bare  = "bare Go loop"
	List  = "rbldnsd"
	Proxy = "dnsblproxy"
)

// Kinds are the peers, in the order of the tables.
func Kinds() []Kind {
	return []Kind{
		{Name: "unbound", program: "unbound", conf: "unbound.conf", args: []string{"-c", "@conf"}, version: []string{"-V"}},
		{Name: "dnsdist", program: "dnsdist", conf: "dnsdist.conf", args: []string{"--supervised", "--disable-syslog", "-C", "@conf"}, version: []string{"--version"}},
		{Name: "pdns-recursor", program: "pdns_recursor", conf: "recursor.conf", args: []string{"--config-dir=@dir"}, version: []string{"--version"}},
		{Name: "BIND", program: "named", conf: "named.conf", args: []string{"-f", "-n", "1", "-c", "@conf"}, version: []string{"-v"}},
		{Name: "dnsmasq", program: "dnsmasq", conf: "dnsmasq.conf", args: []string{"--conf-file=@conf", "--user=", "--group="}, version: []string{"--version"}},
	}
}

// Traced is k with the configuration for several lists and for Aging, which the
// proxy and unbound have.
func (k Kind) Traced() Kind {
	k.conf = "trace-" + k.conf
	return k
}

// Find returns the program's path, "" when it is not installed.
func (k Kind) Find() string {
	if filepath.IsAbs(k.program) {
		return k.program
	}
	if path, err := exec.LookPath(k.program); err == nil {
		return path
	}
	path := filepath.Join("/usr/sbin", k.program) // not in everybody's PATH
	if _, err := os.Stat(path); err == nil {
		return path
	}
	return ""
}

// Version is the first line with a digit that the program says of itself.
func (k Kind) Version() string {
	out, _ := exec.Command(k.Find(), k.version...).CombinedOutput() // some exit with 1 after it
	for line := range strings.Lines(string(out)) {
		if strings.ContainsAny(line, "0123456789") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

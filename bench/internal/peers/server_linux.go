package peers

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"time"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/proc"
)

//go:embed conf
var conf embed.FS

// Settings are what the configurations are made of.
type Settings struct {
	Zone         string
	List         netip.AddrPort // who is asked
	CacheMB      int
	CacheEntries int
	Processors   []int    // that it may use
	Env          []string // more of the environment

	Aging // of traced kinds
}

// Aging is how a cache that stands in front of several lists lets answers age, in
// seconds.
type Aging struct {
	Zones               []string
	MaxTTL, MaxNegative int
	Stale               int // past the TTL; 0: never
	Prefetch            bool
}

// Server is a server at work.
type Server struct {
	Name string
	Addr netip.AddrPort
	Dir  string // of its files

	cmd    *exec.Cmd
	stderr bytes.Buffer
	exited chan struct{}
}

// PID is the number of its process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// fields are what a template is filled with.
type fields struct {
	Settings
	Addr      netip.AddrPort
	AdminPort uint16
	Dir       string
}

// Start starts k and waits until it answers.
func (k Kind) Start(set Settings) (*Server, error) {
	path := k.Find()
	if path == "" {
		return nil, fmt.Errorf("starting %s: not installed", k.Name)
	}
	s, err := newServer(k.Name)
	if err != nil {
		return nil, err
	}
	admin, err := freePort()
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	file := filepath.Join(s.Dir, k.conf)
	if err := render(file, k.conf, fields{set, s.Addr, admin, s.Dir}); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if path, err = unconfined(path, s.Dir); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	argv := append(slices.Clip(k.under), path)
	fill := strings.NewReplacer("@conf", file, "@dir", s.Dir)
	for _, a := range k.args {
		argv = append(argv, fill.Replace(a))
	}
	return s, s.run(exec.Command(argv[0], argv[1:]...), set, false)
}

// StartList starts rbldnsd with the listings of load.Listed, on any processor if
// none is named.
func StartList(zone string, processors ...int) (*Server, error) {
	k := Kind{program: "rbldnsd"}
	path := k.Find()
	if path == "" {
		return nil, errors.New("starting the list: rbldnsd is not installed; make packages installs it")
	}
	s, err := newServer(List)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "list"), listData(), 0o644); err != nil {
		return nil, fmt.Errorf("writing the list: %w", err)
	}
	cmd := exec.Command(path, "-n", "-w", s.Dir, "-b", fmt.Sprintf("%s/%d", s.Addr.Addr(), s.Addr.Port()), zone+":ip4trie:list")
	return s, s.run(cmd, Settings{Zone: zone, Processors: processors}, true)
}

// listData is the list in rbldnsd's syntax.
func listData() []byte {
	var b bytes.Buffer
	b.WriteString("$SOA 3600 ns.bench.internal root.bench.internal 1 3600 600 86400 3600\n$TTL 3600\n$NS 3600 ns.bench.internal\n:127.0.0.2:listed, says the benchmark\n")
	for first := uint32(1); first < 224; first++ {
		if load.Listed(first << 24) {
			fmt.Fprintf(&b, "%d.0.0.0/8\n", first)
		}
	}
	return b.Bytes()
}

// StartSelf starts this very program as a server: with a command as its first
// argument, and the address to listen at as its second.
func StartSelf(name string, set Settings, command string) (*Server, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	s, err := newServer(name)
	if err != nil {
		return nil, err
	}
	return s, s.run(exec.Command(path, command, s.Addr.String()), set, false)
}

// ProxyKind is our own program at path.
func ProxyKind(path string) Kind {
	return Kind{Name: Proxy, program: path, conf: "dnsblproxy.toml", args: []string{"serve", "--config", "@conf"}}
}

func newServer(name string) (*Server, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for %s: %w", name, err)
	}
	// Some servers change their user before they read their files.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening a folder for %s: %w", name, err)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return &Server{
		Name: name, Dir: dir, exited: make(chan struct{}),
		Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port),
	}, os.WriteFile(filepath.Join(dir, "partners.txt"), Partners(10_000), 0o644)
}

// Partners is a file of n prefixes that the proxy exempts, none of which is
// ever asked about.
func Partners(n int) []byte {
	var b bytes.Buffer
	for i := range uint32(n) {
		fmt.Fprintf(&b, "%v/28\n", load.IP(240<<24+i<<4))
	}
	return b.Bytes()
}

// freePort finds a port that is free for UDP and TCP.
func freePort() (uint16, error) {
	loopback := net.IPv4(127, 0, 0, 1)
	for range 1000 {
		// Below those that the kernel lends to sockets on their way out: one
		// of these could be taken again before the server is there.
		port := 10_000 + rand.IntN(20_000)
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback, Port: port})
		if err != nil {
			continue
		}
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback, Port: port})
		_ = l.Close()
		if err == nil {
			_ = c.Close()
			return uint16(port), nil
		}
	}
	return 0, errors.New("finding a port: none is free for UDP and TCP")
}

// unconfined copies a program, because the profiles that some systems have
// (AppArmor) go by path and allow the packaged configuration alone.
func unconfined(path, dir string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading a program: %w", err)
	}
	copied := filepath.Join(dir, filepath.Base(path))
	// A process that starts meanwhile would hold the file open for writing, and
	// a program that is open so cannot be started.
	syscall.ForkLock.RLock()
	err = os.WriteFile(copied, b, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		return "", fmt.Errorf("copying a program: %w", err)
	}
	return copied, nil
}

func render(file, name string, f fields) error {
	t, err := template.ParseFS(conf, "conf/"+name)
	if err != nil {
		return fmt.Errorf("reading a configuration: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, f); err != nil {
		return fmt.Errorf("filling in %s: %w", name, err)
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// run starts cmd, without root's rights where the program wants that, and
// waits until the server answers.
func (s *Server) run(cmd *exec.Cmd, set Settings, unprivileged bool) error {
	s.cmd = cmd
	cmd.Stdout, cmd.Stderr = &s.stderr, &s.stderr
	cmd.Env = append(os.Environ(), set.Env...)
	// A group of its own: Stop ends it, and not a key on the terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if unprivileged && os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	if err := proc.Start(cmd, set.Processors...); err != nil {
		s.cmd = nil
		return errors.Join(fmt.Errorf("starting %s: %w", s.Name, err), s.Stop())
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its output
		close(s.exited)
	}()
	if err := s.await(load.NewZone(set.Zone), 30*time.Second); err != nil {
		_ = s.Stop()
		return fmt.Errorf("starting %s: %w\n%s", s.Name, err, s.stderr.Bytes())
	}
	return nil
}

// await waits for a first answer that is neither SERVFAIL nor REFUSED.
func (s *Server) await(zone load.Zone, most time.Duration) error {
	c, err := net.Dial("udp4", s.Addr.String())
	if err != nil {
		return fmt.Errorf("asking it: %w", err)
	}
	defer func() { _ = c.Close() }()
	buf := make([]byte, 512)
	for began, id := time.Now(), uint16(1); time.Since(began) < most; id++ {
		select {
		case <-s.exited:
			return errors.New("it ended")
		default:
		}
		_, _ = c.Write(zone.Append(nil, id, load.Addr(1<<31), load.TypeA))
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := c.Read(buf); err == nil && n >= 12 && (buf[3]&0xf == 0 || buf[3]&0xf == 3) {
			return nil
		} else if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(20 * time.Millisecond) // nobody listens yet
		}
	}
	return fmt.Errorf("no answer within %v", most)
}

// Signal sends it a signal.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Output is what it wrote, once it was stopped.
func (s *Server) Output() []byte { return s.stderr.Bytes() }

// Stop ends it and removes its files. That it had ended by itself is an error.
func (s *Server) Stop() (err error) {
	if s.cmd != nil {
		killed := s.cmd.Process.Kill()
		<-s.exited
		if killed != nil {
			err = fmt.Errorf("%s had ended, having said:\n%s", s.Name, s.stderr.Bytes())
		}
	}
	if bad := os.RemoveAll(s.Dir); bad != nil {
		err = errors.Join(err, fmt.Errorf("removing the files of %s: %w", s.Name, bad))
	}
	return err
}

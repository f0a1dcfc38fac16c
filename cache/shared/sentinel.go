package shared

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/redis/rueidis"
)

// bySentinels has o lead to the one server that Sentinels name. They are asked
// for it with each connection, since a failover ends those there are. The
// library could listen to them, but ends the process when one of them says what
// it does not expect.
func bySentinels(o *rueidis.ClientOption) {
	hosts, set, dial := o.InitAddress, o.Sentinel.MasterSet, o.DialCtxFn
	o.InitAddress, o.ForceSingleClient, o.Sentinel.MasterSet = hosts[:1], true, ""
	server, sentinel := *o, *o
	sentinel.Username, sentinel.Password, sentinel.SelectDB = "", "", 0
	sentinel.Dialer.Timeout = patience / time.Duration(len(hosts)) // a silent one leaves time for the next
	o.DialCtxFn = func(ctx context.Context, _ string, d *net.Dialer, t *tls.Config) (conn net.Conn, err error) {
		for _, host := range hosts {
			var addr, role []string
			if addr, err = ask(ctx, sentinel, host, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", set); err != nil {
				continue
			}
			if len(addr) != 2 {
				err = fmt.Errorf("the Sentinel at %s does not name the server %q", host, set)
				continue
			}
			at := net.JoinHostPort(addr[0], addr[1])
			if role, err = ask(ctx, server, at, "ROLE"); err != nil {
				continue
			}
			if len(role) == 0 || role[0] != "master" { // it has just been replaced
				err = fmt.Errorf("the server at %s only follows another", at)
				continue
			}
			return dial(ctx, at, d, t)
		}
		return nil, err
	}
}

// ask puts a question to a server on a connection of its own. What is no text in
// the list that it answers with is "".
func ask(ctx context.Context, o rueidis.ClientOption, at string, command ...string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Dialer.Timeout)
	defer cancel()
	o.InitAddress = []string{at}
	client, err := rueidis.NewClient(o)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	list, err := client.Do(ctx, client.B().Arbitrary(command...).Build()).ToArray()
	if rueidis.IsRedisNil(err) {
		err = nil
	}
	out := make([]string, len(list))
	for i := range list {
		out[i], _ = list[i].ToString()
	}
	return out, err
}

package shared

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Announce warns the other proxies of name, a list that lies for example. The
// warning is there for ttl, and each of them hears it once. While the server
// takes none, Watch tries again.
func (c *Cache) Announce(name string, ttl time.Duration) {
	w := warning{text: c.id + " " + rand.Text(), end: time.Now().Add(min(ttl, maxLife*time.Second))}
	c.untold.Store(name, w)
	c.tell(name, w)
}

// tell gives a warning to the server, again and again until it has taken it.
func (c *Cache) tell(name string, w warning) {
	left := time.Until(w.end).Round(time.Second)
	if left <= 0 {
		c.untold.CompareAndDelete(name, w)
		return
	}
	c.write(warnings, []byte(name), w.text, uint32(left/time.Second), func() { c.untold.CompareAndDelete(name, w) })
}

// Watch looks every so often whether others have warned of one of the names,
// until ctx or the Cache ends. It calls heard once for each warning, and never
// for those of this Cache. A warning is a reason to look, and no proof.
func (c *Cache) Watch(ctx context.Context, every time.Duration, names func() []string, heard func(name string)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	known := make(map[string]time.Time) // warnings, and when they are over
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.ctx.Done():
			return
		case now := <-tick.C:
			for warning, end := range known {
				if now.After(end) {
					delete(known, warning)
				}
			}
			c.untold.Range(func(name, w any) bool {
				c.tell(name.(string), w.(warning))
				return true
			})
			for name, w := range c.warnings(names(), now) {
				if _, old := known[w.text]; !old && !strings.HasPrefix(w.text, c.id+" ") {
					known[w.text] = w.end
					heard(name)
				}
			}
		}
	}
}

// warning is what one proxy has said: its ID and a text of its own.
type warning struct {
	text string
	end  time.Time
}

// warnings reads those that are there, by name.
func (c *Cache) warnings(names []string, now time.Time) map[string]warning {
	if len(names) == 0 {
		return nil
	}
	client, ok := c.enter()
	if !ok {
		return nil
	}
	defer c.leave()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	commands := make([]rueidis.Completed, len(names))
	for i, name := range names {
		commands[i] = c.reading(client, warnings, []byte(name))
	}
	out := make(map[string]warning)
	for i, r := range client.DoMulti(ctx, commands...) {
		value, result := c.read(r)
		if result != hit {
			continue
		}
		if text, left, result := c.open(warnings, []byte(names[i]), value, now); result == hit {
			out[names[i]] = warning{text: text, end: now.Add(time.Duration(left+1) * time.Second)}
		}
	}
	return out
}

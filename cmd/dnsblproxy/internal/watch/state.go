package watch

import (
	"encoding/json"
	"net/netip"
	"slices"
	"time"
)

// Key names one address in one list.
type Key struct {
	Watch string     `json:"watch"`
	Zone  string     `json:"zone"`
	Addr  netip.Addr `json:"address"`
}

// Entry is what is known of one address in one list.
type Entry struct {
	Listed bool      `json:"listed"`
	Since  time.Time `json:"since"`
	Told   bool      `json:"told"` // the command has run or the webhook has taken it; true without both
}

// State holds what is listed, and what is to be told still. Everything else
// is unlisted.
type State map[Key]Entry

// kept is an entry in the file.
type kept struct {
	Key
	Entry
}

// MarshalJSON writes a list of entries.
func (s State) MarshalJSON() ([]byte, error) {
	all := make([]kept, 0, len(s))
	for k, e := range s {
		all = append(all, kept{k, e})
	}
	slices.SortFunc(all, func(a, b kept) int { return a.Addr.Compare(b.Addr) })
	return json.Marshal(all)
}

func (s *State) UnmarshalJSON(text []byte) error {
	var all []kept
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	*s = State{}
	for _, k := range all {
		(*s)[k.Key] = k.Entry
	}
	return nil
}

// prune forgets what is not watched any more.
func (s State) prune(watches []Watch) {
	for k := range s {
		watched := slices.ContainsFunc(watches, func(w Watch) bool {
			return w.Name == k.Watch && slices.Contains(w.Addrs, k.Addr) &&
				slices.ContainsFunc(w.Zones, func(z Zone) bool { return z.Name == k.Zone })
		})
		if !watched {
			delete(s, k)
		}
	}
}

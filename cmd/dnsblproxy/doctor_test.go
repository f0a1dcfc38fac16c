package main

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/doctor"
)

// TestDoctor_status: the doctor reads what the API says.
func TestDoctor_status(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	text, err := json.Marshal(admin.Overview{
		Lists: []admin.List{
			{Zone: "bl.example", State: "suspect", Reason: "why", Budget: &admin.Budget{Limit: 5, Used: 4}},
			{Zone: "local.example"},
		},
		Sources: []admin.Source{{Rule: "fax", Action: "allow", What: "spf fax.example", Error: "no record", LastSuccess: at, InForce: true}},
	})
	var got doctor.Status
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	want := doctor.Status{
		Zones:   []doctor.ListStatus{{Zone: "bl.example", State: "suspect", Reason: "why"}, {Zone: "local.example"}},
		Sources: []doctor.SourceStatus{{Rule: "fax", Action: "allow", Source: "spf fax.example", LastError: "no record", LastSuccess: at, InForce: true}},
	}
	want.Zones[0].Budget.Limit, want.Zones[0].Budget.Used = 5, 4
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s is read as %+v, %v, want %+v", text, got, err, want)
	}
}

// TestOverview_inForce: of an address, of a domain, and of what was not loaded.
func TestOverview_inForce(t *testing.T) {
	d, _ := adminOf(t, "[admin]\nlisten = \"\"\n[resolver]\nservers = [\"127.0.0.1:1\"]\n[zone.\"local.example\"]\nsource = \"deny\"\n"+
		"[allow.fax]\ncidr = [\"192.0.2.1\"]\ndomains = [\"fax.example\"]\nspf = [\"fax.example\"]\n")
	got := map[string]bool{}
	for _, s := range d.overview().Sources {
		got[s.What] = s.InForce
	}
	want := map[string]bool{"cidr": true, "domains": true, "spf fax.example": false}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("in force are %v, want %v", got, want)
	}
}

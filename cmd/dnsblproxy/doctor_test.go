package main

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/doctor"
)

// TestDoctor_status: the doctor reads what the API says.
func TestDoctor_status(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	text, err := json.Marshal(statusView{
		Zones: []zoneStatus{
			{Zone: "bl.example", State: "suspect", Reason: "why", Budget: &spending{Limit: 5, Used: 4}},
			{Zone: "local.example"},
		},
		Sources: []sourceStatus{{Rule: "fax", Action: "allow", Source: "spf fax.example", LastError: "no record", LastSuccess: at}},
	})
	var got doctor.Status
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	want := doctor.Status{
		Zones:   []doctor.ListStatus{{Zone: "bl.example", State: "suspect", Reason: "why"}, {Zone: "local.example"}},
		Sources: []doctor.SourceStatus{{Rule: "fax", Action: "allow", Source: "spf fax.example", LastError: "no record", LastSuccess: at}},
	}
	want.Zones[0].Budget.Limit, want.Zones[0].Budget.Used = 5, 4
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s is read as %+v, %v, want %+v", text, got, err, want)
	}
}

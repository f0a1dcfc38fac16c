package resolver

import (
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// question is what decide is asked: one subject in one zone. labels alias the
// query's memory and live as long as it does.
type question struct {
	zone    *zone
	subject rbl.Subject
	labels  []byte // left of the zone, in wire form, lower case
	typ     uint16
	bare    bool // for the list's own word, without the rules
}

// of is the question for the records of another type.
func (q *question) of(typ uint16) question {
	other := *q
	other.typ = typ
	return other
}

// text is the subject for people and logs.
func (q *question) text() string {
	switch q.subject.Shape {
	case rbl.IP4, rbl.IP6:
		return q.subject.Addr.String()
	case rbl.Domain:
		return rbl.DomainText(q.labels)
	}
	return q.zone.Name // its apex is nobody else's name
}

// about is the question whether z has a subject.
func (z *zone) about(labels []byte) question {
	return question{zone: z, subject: rbl.ParseLabels(labels, z.Holds), labels: labels, typ: wire.TypeA}
}

// zoneTable finds the zone of a name: the longest suffix wins. It is
// immutable.
type zoneTable struct {
	byName map[string]*zone // in wire form
	order  []*zone          // as configured

	// lengths are the label counts that occur, the longest first, so that an
	// IPv6 question of 36 labels costs as few look-ups as there are lengths.
	lengths []int
}

func newZoneTable(zones []*zone) *zoneTable {
	t := &zoneTable{byName: make(map[string]*zone, len(zones)), order: zones}
	seen := map[int]bool{}
	for _, z := range zones {
		t.byName[string(z.apex)] = z
		seen[z.labels] = true
	}
	for n := wire.MaxName / 2; n > 0; n-- {
		if seen[n] {
			t.lengths = append(t.lengths, n)
		}
	}
	return t
}

// find returns the zone of q's name, nil when it is in none.
func (t *zoneTable) find(q *wire.Query) *zone {
	for _, n := range t.lengths {
		if n > q.Labels() {
			continue
		}
		if z := t.byName[string(q.Suffix(n))]; z != nil {
			return z
		}
	}
	return nil
}

// named returns the zone of that name, nil when there is none.
func (t *zoneTable) named(name string) *zone {
	for _, z := range t.order {
		if z.Name == name {
			return z
		}
	}
	return nil
}

// read turns a query inside z into the question that decide is asked.
func (z *zone) read(q *wire.Query) question {
	name := q.Name()
	labels := name[:len(name)-len(z.apex)]
	return question{zone: z, subject: rbl.ParseLabels(labels, z.Holds), labels: labels, typ: q.Type}
}

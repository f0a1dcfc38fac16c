package resolver

import "dnsblproxy/overrides"

func (f *facts) combined(q *question, hit overrides.Hit, exempt bool) decision {
	return decision{}
}

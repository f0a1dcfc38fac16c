package wire

import "net/netip"

// maxHosts bounds the name servers taken from one delegation; zones have up
// to 13, and a hostile parent may name thousands.
const maxHosts = 16

// Delegation is what a server of a parent zone says about a zone below it.
type Delegation struct {
	Zone  Name   // the zone that is delegated, lower case
	TTL   uint32 // least TTL of its NS records and of the addresses, seconds
	Hosts []Host // its name servers, at most 16
}

// Host is a name server with the addresses that came along.
type Host struct {
	Name  Name // lower case
	Addrs []netip.Addr
}

// ParseDelegation reads the name servers of the zone nearest above q.Name that
// lies below parent, the zone over which the sender has authority, or of
// q.Name itself when the sender answers for it (AA) and q asks for NS. Glue is
// taken for hosts below parent alone: of others the sender knows no more than
// anybody. pkt was found good by ParseResponse. ok is false when there is no
// such delegation.
func ParseDelegation(pkt []byte, q Question, parent Name) (d Delegation, ok bool) {
	end, err := checkQuestion(pkt, q)
	if err != nil {
		return d, false
	}
	var s sections
	if !s.survey(pkt, end, q.Type) {
		return d, false
	}
	name := append(Name(nil), q.Name...)
	name.Lower()
	d.TTL = 1<<31 - 1
	if q.Type == TypeNS && pkt[2]&0x04 != 0 {
		d.addHosts(pkt, s.answer, s.answers, name, parent)
	}
	if d.Zone == nil {
		d.addHosts(pkt, s.authority, s.authorities, name, parent)
	}
	if len(d.Hosts) == 0 {
		return d, false
	}
	d.addGlue(pkt, s.additional, s.additionals, parent)
	return d, true
}

// addHosts takes the NS records of one owner strictly below parent and at or
// above name. The first such owner is the only one.
func (d *Delegation) addHosts(pkt []byte, off, n int, name, parent Name) {
	for r := range records(pkt, off, n) {
		if r.typ != TypeNS || r.class != ClassIN {
			continue
		}
		owner, _, ok := appendName(nil, pkt, r.owner)
		if !ok {
			return
		}
		zone := Name(owner)
		zone.Lower()
		if len(zone) <= len(parent) || !zone.Under(parent) || !name.Under(zone) ||
			d.Zone != nil && string(d.Zone) != string(zone) {
			continue
		}
		host, end, ok := appendName(nil, pkt, r.data)
		if !ok || end != r.end {
			continue
		}
		d.Zone = zone
		d.TTL = min(d.TTL, r.ttl)
		if len(d.Hosts) < maxHosts {
			Name(host).Lower()
			d.Hosts = append(d.Hosts, Host{Name: host})
		}
	}
}

// addGlue adds the addresses of hosts below parent.
func (d *Delegation) addGlue(pkt []byte, off, n int, parent Name) {
	for r := range records(pkt, off, n) {
		if r.class != ClassIN || r.typ != TypeA && r.typ != TypeAAAA {
			continue
		}
		addr, ok := netip.AddrFromSlice(pkt[r.data:r.end])
		if !ok || addr.Is4() != (r.typ == TypeA) {
			continue
		}
		for i := range d.Hosts {
			h := &d.Hosts[i]
			if len(h.Addrs) >= 4 || !h.Name.Under(parent) {
				continue
			}
			if same, _ := owns(pkt, r.owner, h.Name); same {
				h.Addrs = append(h.Addrs, addr.Unmap())
				d.TTL = min(d.TTL, r.ttl)
			}
		}
	}
}

package wire

// rdataShape says where names stand in the RDATA of a type: after fixed octets
// come names, then a tail of tail octets (-1: of any length).
type rdataShape struct{ fixed, names, tail int }

// shapeOf lists the types whose names may be compressed (RFC 3597, section 4)
// and those with names close to them. Of all others the RDATA is opaque.
func shapeOf(typ uint16) rdataShape {
	switch typ {
	case TypeA:
		return rdataShape{4, 0, 0}
	case TypeAAAA:
		return rdataShape{16, 0, 0}
	case TypeNS, 3, 4, TypeCNAME, 7, 8, 9, 12, 39: // MD, MF, MB, MG, MR, PTR, DNAME
		return rdataShape{0, 1, 0}
	case TypeSOA:
		return rdataShape{0, 2, 20}
	case 14, 17: // MINFO, RP
		return rdataShape{0, 2, 0}
	case 15, 18, 21, 36: // MX, AFSDB, RT, KX
		return rdataShape{2, 1, 0}
	case 26: // PX
		return rdataShape{2, 2, 0}
	case 33: // SRV
		return rdataShape{6, 1, 0}
	}
	return rdataShape{0, 0, -1}
}

const typeNAPTR = 35

// appendRData appends the record's RDATA with its names uncompressed. ok is
// false when the RDATA does not have the shape of its type.
func appendRData(dst, pkt []byte, r record) (data []byte, ok bool) {
	sh := shapeOf(r.typ)
	off := r.data
	switch r.typ {
	case TypeTXT:
		if end, n := skipStrings(pkt[:r.end], off, -1); end != r.end || n == 0 {
			return dst, false
		}
	case typeNAPTR:
		// RFC 3403, section 4.1: two numbers, three strings, one name.
		end, n := skipStrings(pkt[:r.end], off+4, 3)
		if n != 3 {
			return dst, false
		}
		sh = rdataShape{end - off, 1, 0}
	}
	if off+sh.fixed > r.end {
		return dst, false
	}
	dst = append(dst, pkt[off:off+sh.fixed]...)
	off += sh.fixed
	for range sh.names {
		if dst, off, ok = appendName(dst, pkt, off); !ok || off > r.end {
			return dst, false
		}
	}
	if sh.tail >= 0 && off+sh.tail != r.end {
		return dst, false
	}
	return append(dst, pkt[off:r.end]...), true
}

// skipStrings skips at most limit character strings from off to the end of
// pkt (all with -1) and returns where it stopped and how many they were. A
// string that does not fit stops it.
func skipStrings(pkt []byte, off, limit int) (end, n int) {
	for n != limit && off < len(pkt) && off+1+int(pkt[off]) <= len(pkt) {
		off += 1 + int(pkt[off])
		n++
	}
	return off, n
}

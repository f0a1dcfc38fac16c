package shared

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// purpose keeps apart what is written for different ends: a value of one can
// never be read as one of the other.
type purpose byte

const (
	answers  purpose = 'a'
	warnings purpose = 'w'
)

// A value is: expiry in Unix seconds (8 octets), the data, a MAC (32 octets)
// over purpose, question and both.
const (
	expiryLen = 8
	macLen    = sha256.Size

	keyPrefix = "dnsblproxy:v1:" // a new format gets a new prefix
	keyBytes  = 18               // of the MAC that is the key

	maxData  = 1 << 16 // octets; a DNS message is no longer
	maxValue = expiryLen + maxData + macLen

	// maxLife bounds what a value may claim, in seconds; clocks of two
	// machines may differ, but not by that.
	maxLife = 7 * 24 * 3600
)

// seal makes the value for a question.
func (c *Cache) seal(p purpose, question []byte, data string, expires time.Time) []byte {
	v := make([]byte, 0, expiryLen+len(data)+macLen)
	v = binary.BigEndian.AppendUint64(v, uint64(expires.Unix()))
	v = append(v, data...)
	return append(v, c.mac(p, 'v', question, v)...)
}

// open checks a value and returns what is left of its life, in seconds. The
// result is hit, invalid, or miss when its life is over: the server drops it a
// moment later.
func (c *Cache) open(p purpose, question, v []byte, now time.Time) (data string, life uint32, result string) {
	if len(v) < expiryLen+macLen {
		return "", 0, invalid
	}
	body, mac := v[:len(v)-macLen], v[len(v)-macLen:]
	if !hmac.Equal(mac, c.mac(p, 'v', question, body)) {
		return "", 0, invalid
	}
	switch left := int64(binary.BigEndian.Uint64(body)) - now.Unix(); {
	case left <= 0:
		return "", 0, miss
	case left > maxLife:
		return "", 0, invalid
	default:
		return string(body[expiryLen:]), uint32(left), hit
	}
}

// key is the name of a question on the server.
func (c *Cache) key(p purpose, question []byte) string {
	return keyPrefix + base64.RawURLEncoding.EncodeToString(c.mac(p, 'k', question, nil)[:keyBytes])
}

// mac authenticates a question, and a body that belongs to it, in a role: the
// key or the value. The question's length keeps the two apart.
func (c *Cache) mac(p purpose, role byte, question, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(c.o.Secret))
	head := binary.BigEndian.AppendUint64([]byte{byte(p), role}, uint64(len(question)))
	h.Write(head)
	h.Write(question)
	h.Write(body)
	return h.Sum(nil)
}

package spf

// Result is what check_host() returns, RFC 7208, section 2.6.
type Result uint8

const (
	// None: no domain name to check, or the domain publishes no record.
	None Result = iota
	// Neutral: the domain says nothing about the address.
	Neutral
	// Pass: the domain authorizes the address.
	Pass
	// Fail: the domain says that the address is not authorized.
	Fail
	// SoftFail: the domain says that the address is probably not authorized.
	SoftFail
	// TempError: a transient error, most often of DNS; a later try may work.
	TempError
	// PermError: the published records cannot be interpreted, or exceed the
	// limits of RFC 7208, section 4.6.4.
	PermError
	// Live is no result of check_host(): in a Map it marks the addresses for
	// which CheckHost must be asked, one at a time.
	Live
)

// String returns the result as RFC 7208 spells it, or "live".
func (r Result) String() string {
	names := [...]string{"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror", "live"}
	return names[r]
}

// MarshalText makes a Result a word in JSON.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

package resolver

import (
	"errors"
	"net/netip"
	"time"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// List is what a zone's answers are fetched from.
type List interface {
	// Start asks, without blocking, and calls done exactly once, from
	// another goroutine than the caller's.
	Start(a Ask, done func(Result))

	// Open says why the list is not to be asked about a shape of subject at
	// present, if it is not. It costs next to nothing.
	Open(s rbl.Shape) (why string, open bool)

	// Quarantined says why nothing the list says may be believed, if so.
	Quarantined() (why string, yes bool)
}

// Ask is one question for a list.
type Ask struct {
	Subject rbl.Subject
	Name    wire.Name // under the list's own name
	Type    uint16
	Client  netip.Addr // on whose behalf; invalid for the proxy's own

	// Background marks a question that nobody waits for.
	Background bool
}

// Result is what came of an Ask.
type Result struct {
	upstream.Outcome

	// HoldFor is how long a failure is remembered; 0 leaves it to the
	// resolver.
	HoldFor time.Duration
}

// ListError is an answer of a list that must not be taken for a listing: an
// error code, or an address that is none of a blocklist's.
type ListError struct {
	Name string // the metric's label
	Help string // what to do about it, for people
}

func (e *ListError) Error() string { return e.Name + ": " + e.Help }

// failure says in an answer's words what err is.
func (z *zone) failure(err error) failure {
	if err == nil {
		return failure{}
	}
	f := failure{name: "error", text: z.hide.text(err.Error()), ede: edeNetwork}
	var le *ListError
	switch {
	case errors.As(err, &le):
		f.name, f.ede, f.distrust = le.Name, edeUnreachable, true
	case errors.Is(err, upstream.ErrTimeout):
		f.name, f.ede = "timeout", edeUnreachable
	case errors.Is(err, upstream.ErrServfail):
		f.name = "servfail"
	case errors.Is(err, upstream.ErrRefused):
		f.name = "refused"
	case errors.Is(err, upstream.ErrUnreachable):
		f.name, f.ede = "unreachable", edeUnreachable
	case errors.Is(err, upstream.ErrBudget):
		f.name, f.ede = "budget", edeUnreachable
	case errors.Is(err, upstream.ErrBreaker):
		f.name, f.ede = "breaker", edeUnreachable
	}
	return f
}

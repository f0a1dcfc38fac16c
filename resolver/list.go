package resolver

import (
	"errors"
	"time"

	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// List is what a zone's answers are fetched from. *upstream.List is one.
type List interface {
	// Start asks, without blocking, and calls done exactly once, from
	// another goroutine than the caller's. a.Name is not used after that.
	Start(a upstream.Ask, done func(upstream.Outcome))

	// Open says why the list is not to be asked about a shape of subject at
	// present, if it is not; vain that who asks again is not better off. It
	// costs next to nothing.
	Open(s rbl.Shape) (why string, vain, open bool)

	// Quarantined says why nothing the list says may be believed, if so.
	Quarantined() (why string, yes bool)
}

// failure says in an answer's words what err is.
func (z *zone) failure(err error) failure {
	if err == nil {
		return failure{}
	}
	f := failure{name: "error", text: z.hide.text(err.Error()), ede: edeNetwork}
	var code *upstream.CodeError
	switch {
	case errors.As(err, &code):
		f.name, f.ede, f.vain = code.Name, edeUnreachable, true
		f.text = z.hide.text(code.Name + ": " + code.Help)
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

// maxErrorHold bounds how long an error code is remembered, so that a list
// that serves us again is believed within a minute.
const maxErrorHold = time.Minute

// holdFor is how long a failure is remembered; 0 leaves it to the resolver.
func holdFor(o *upstream.Outcome) time.Duration {
	var code *upstream.CodeError
	if !errors.As(o.Err, &code) {
		return 0
	}
	return min(time.Duration(o.Response.TTL)*time.Second, maxErrorHold)
}

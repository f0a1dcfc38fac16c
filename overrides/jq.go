package overrides

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/itchyny/gojq"
)

// Bounds of a jq program over a whole feed. A feed has tens of thousands of ranges;
// a program that outputs ten times as many, or runs this long, is a mistake.
const (
	jqTimeout    = 10 * time.Second
	maxJQOutputs = 200_000
)

// compileJQ compiles a program once. It gets no environment and no modules.
func compileJQ(program string) (*gojq.Code, error) {
	q, err := gojq.Parse(program)
	if err != nil {
		return nil, fmt.Errorf("%q is no jq program: %w", program, err)
	}
	code, err := gojq.Compile(q, gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil, fmt.Errorf("%q does not compile as jq: %w", program, err)
	}
	return code, nil
}

// appendJQ appends the ranges that the program outputs for doc, as strings.
func appendJQ(ctx context.Context, out []Range, code *gojq.Code, doc any) ([]Range, error) {
	for iter := code.RunWithContext(ctx, doc); ; {
		v, ok := iter.Next()
		if !ok {
			return out, nil
		}
		switch v := v.(type) {
		case string:
			r, err := ParseRange(v)
			if err != nil {
				return nil, fmt.Errorf("jq gave no range: %w", err)
			}
			out = append(out, r)
		case nil:
			// A missing key gives null; jq users expect it to be skipped no
			// more than an error, so it is named.
			return nil, errors.New("jq gave null; filter such entries out, for example with values")
		case error:
			if halt, ok := errors.AsType[*gojq.HaltError](v); ok && halt.Value() == nil {
				return out, nil
			}
			return nil, fmt.Errorf("jq: %w", v)
		default:
			return nil, fmt.Errorf("jq gave %s, not a string", gojq.TypeOf(v))
		}
		if len(out) > maxJQOutputs {
			return nil, fmt.Errorf("jq gave more than %d strings", maxJQOutputs)
		}
	}
}

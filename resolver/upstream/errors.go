package upstream

import "errors"

// Errors of an [Outcome]; callers tell them apart with errors.Is.
var (
	ErrTimeout     = errors.New("no answer in time")
	ErrServfail    = errors.New("server failed to answer")
	ErrRefused     = errors.New("server refused the question")
	ErrUnreachable = errors.New("server cannot be reached")
	ErrBudget      = errors.New("budget of the list is spent")
	ErrBreaker     = errors.New("list does not answer at present and is not asked")
	ErrCanceled    = errors.New("question was canceled")
	ErrClosed      = errors.New("pool is closed")
	ErrQuestion    = errors.New("malformed question")
)

package resolver

// watch decides how long a reader looks at an empty socket before it sleeps.
//
// Sleeping and waking up costs some ten microseconds, several times an answer,
// and clients that wait for their answers send the next question within as
// much: with few of them a reader would sleep after nearly every answer. So it
// looks on for about that long where that has paid lately. Where it has not,
// it sleeps at once, and tries again now and then.
type watch struct {
	luck   int // watches that paid lately, each counted once, less two for each that did not
	asleep int // sleeps until the next try
}

const (
	// watchLooks is how often a watcher looks, each time some 0.3 µs.
	watchLooks = 40

	// watchMemory bounds luck: so many watches that pay make up for half as
	// many that do not.
	watchMemory = 16

	// watchEvery is how many sleeps lie between two tries. A try that does
	// not pay is then a hundredth of the cost of the sleeps.
	watchEvery = 128
)

// looks is how often to look before sleeping, after a batch of so many. With a
// lone packet there was nothing behind it a moment ago.
func (w *watch) looks(batch int) int {
	switch {
	case w.luck > 0:
		return watchLooks
	case batch == 1:
		return 0
	}
	return 1
}

// found notes that the i-th look, counted from 0, found something.
func (w *watch) found(i int) {
	if i > 0 {
		w.luck = min(w.luck+1, watchMemory)
	}
}

// missed notes that so many looks found nothing.
func (w *watch) missed(looks int) {
	if looks > 1 {
		w.luck = max(w.luck-2, 0)
		return
	}
	if w.asleep--; w.asleep < 0 {
		w.asleep, w.luck = watchEvery, 1
	}
}

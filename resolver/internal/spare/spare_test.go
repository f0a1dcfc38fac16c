package spare

import (
	"sync"
	"testing"
)

func TestList(t *testing.T) {
	var l List[int]
	if v := l.Get(); v != nil {
		t.Fatalf("an empty list gave %v", v)
	}
	values := make([]int, most+10)
	for i := range values {
		l.Put(&values[i])
	}
	for i := most - 1; i >= 0; i-- {
		if v := l.Get(); v != &values[i] {
			t.Fatalf("got %p, want the value that was put last, %p", v, &values[i])
		}
	}
	if v := l.Get(); v != nil {
		t.Errorf("more than %d values were kept", most)
	}
	if l.values != [most]*int{} {
		t.Error("what was given away is still held")
	}
	l.Put(&values[0])
	l.Clear()
	if v := l.Get(); v != nil || l.values != [most]*int{} {
		t.Error("what was cleared is still held")
	}
}

func TestList_concurrently(t *testing.T) {
	var l List[int]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10_000 {
				v := l.Get()
				if v == nil {
					v = new(int)
				}
				*v++ // a race if two have it
				l.Put(v)
			}
		})
	}
	wg.Wait()
}

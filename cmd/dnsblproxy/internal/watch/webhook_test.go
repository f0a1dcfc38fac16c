package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// service stands for a webhook's server: an answer for each try, the last one
// for all that follow.
type service struct {
	began   time.Time
	answers []int // 0: none before the try is given up
	tries   []string
	facts   []Facts
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.tries = append(s.tries, time.Since(s.began).String())
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if answer == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	var f Facts
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		return nil, err
	}
	s.facts = append(s.facts, f)
	return &http.Response{StatusCode: answer, Body: io.NopCloser(&bytes.Buffer{}), Request: r}, nil
}

// TestWebhook_tries goes through the answers of a server; the lists are
// looked at every 15 minutes, and the address is listed from the first look.
func TestWebhook_tries(t *testing.T) {
	for _, tt := range []struct {
		name         string
		answers      []int
		tries        string
		told, failed float64
	}{
		{"taken", []int{200}, "[0s]", 1, 0},
		{"taken without a body", []int{204}, "[0s]", 1, 0},
		{"out of order for a moment", []int{503, 502, 200}, "[0s 2s 6s]", 1, 0},
		{"too many", []int{429, 202}, "[0s 2s]", 1, 0},
		{"silent once", []int{0, 200}, "[0s 10s]", 1, 0},
		{"silent", []int{0}, "[0s 10s 22s 15m0s 15m10s 15m22s]", 0, 2},
		{"out of order until the next look", []int{500, 500, 500, 200}, "[0s 2s 6s 15m0s]", 1, 1},
		{"not known, until the next look", []int{404, 200}, "[0s 15m0s]", 1, 1},
		{"moved", []int{308}, "[0s 15m0s]", 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, hook := newScene(), &service{began: time.Now(), answers: tt.answers}
				s.notify, s.hook, s.posts = nil, "https://user:hush@hook.test/hush?key=hush#hush", hook
				s.set("a.test", "203.0.113.25", onList)
				s.start()
				time.Sleep(29 * time.Minute)
				s.stop()
				if got := fmt.Sprint(hook.tries); got != tt.tries {
					t.Errorf("tried at %s, want %s", got, tt.tries)
				}
				if told, failed := s.count(resultTold), s.count(resultFailed); told != tt.told || failed != tt.failed {
					t.Errorf("counted %v told and %v failed, want %v and %v", told, failed, tt.told, tt.failed)
				}
				log := s.log.String()
				if n := strings.Count(log, "nobody was told"); n != int(tt.failed) || n > 0 && !strings.Contains(log, "https://hook.test:") {
					t.Errorf("%d lines of failures, want %v with the host:\n%s", n, tt.failed, log)
				}
				if strings.Contains(log, "hush") {
					t.Errorf("the log tells the URL's secrets:\n%s", log)
				}
			})
		})
	}
}

// TestWebhook_aside has a server that is silent for ever: questions go on at
// their pace meanwhile, and the end of ours does not wait long.
func TestWebhook_aside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.notify, s.hook, s.posts = nil, "http://hook.test/", &service{answers: []int{0}}
		for _, z := range s.zones {
			s.set(z.Name, "203.0.113.25", onList)
		}
		began := time.Now()
		s.start()
		time.Sleep(s.every)
		synctest.Wait()
		var asked []string
		for _, at := range s.asked {
			asked = append(asked, at.Sub(began).String())
		}
		if want := []string{"0s", "100ms", "200ms", "300ms", "15m0s"}; !slices.Equal(asked, want) {
			t.Errorf("asked at %v, want %v", asked, want)
		}
		began = time.Now()
		s.stop()
		if took := time.Since(began); took > commandEnd {
			t.Errorf("the end waited %v for a webhook", took)
		}
	})
}

// TestWebhook_request reads what a real server gets, and that a redirect is
// not followed with the key.
func TestWebhook_request(t *testing.T) {
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, fmt.Sprint(r.Method, " ", r.URL, " ", user, " ", password, " ", r.Header.Get("Content-Type"), " ", r.UserAgent(), " ", string(body)))
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	}))
	defer srv.Close()
	at := strings.Replace(srv.URL, "http://", "http://user:hush@", 1)
	s := newScene()
	w := New(Options{Load: s.load, UserAgent: "dnsblproxy/1", Registerer: prometheus.NewRegistry()})
	if err := w.post(t.Context(), at+"/hook?key=hush", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	err := w.post(t.Context(), at+"/moved", []byte("{}"))
	if want := "posting to " + srv.URL + ": the server answers 307 Temporary Redirect, and redirects are not followed"; err == nil || err.Error() != want {
		t.Errorf("a redirect: %v, want %s", err, want)
	}
	want := []string{
		"POST /hook?key=hush user hush application/json dnsblproxy/1 {}",
		"POST /moved user hush application/json dnsblproxy/1 {}",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the server got %q, want %q", got, want)
	}
}

// TestWebhook_hidden has errors of the client without the URL in them.
func TestWebhook_hidden(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close() // nobody listens there any more
	s := newScene()
	w := New(Options{Load: s.load, Registerer: prometheus.NewRegistry()})
	u, err := url.Parse(strings.Replace(srv.URL, "http://", "http://user:hush@", 1) + "/hush?hush")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.try(t.Context(), u, nil); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("posting where nobody listens: %v, want an error without the key", err)
	}
	if err := w.post(t.Context(), "http://%zz:hush@/", nil); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("posting to what is no URL: %v, want an error without it", err)
	}
}

// TestWebhook_garbage: what a server sends in place of an answer does not fill
// the log.
func TestWebhook_garbage(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		defer c.Close()
		io.WriteString(c, strings.Repeat("x", 1<<20)+"\r\n\r\n")
	}))
	defer srv.Close()
	s := newScene()
	w := New(Options{Load: s.load, Registerer: prometheus.NewRegistry()})
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.try(t.Context(), u, nil); err == nil || len(err.Error()) > 128<<10 {
		t.Errorf("an error of %d octets, want a short one", len(fmt.Sprint(err)))
	}
}

package admin

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// PageOptions are what the page shows. Everything is asked anew for each
// request; the functions are called by several goroutines at once.
type PageOptions struct {
	// Overview tells of the lists and rules as they are now.
	Overview func() Overview

	// Lookup decides about an address or a domain in every zone. An *Error is
	// shown as it is.
	Lookup func(ctx context.Context, subject string) ([]Answer, error)

	// Entries are the first most addresses and domains that a rule exempts,
	// and how many there are in all.
	Entries func(rule string, most int) ([]Entry, int)

	// Worth is the report of the last seven days: rows of Zone, Questions,
	// Listings, Exempted, Unique and Errors.
	Worth func() any

	Figures prometheus.Gatherer // all metrics
	History *History
	Journal *Journal

	Now func() time.Time // nil: time.Now
}

// pageFiles are the page's own files. The script only renews what is shown:
// everything can be read without it.
//
//go:embed page
var pageFiles embed.FS

// page is the handler behind "/".
type page struct {
	PageOptions
	html    *template.Template
	lookups chan struct{} // a seat for each look-up that may go on at once
}

// Bounds on what one page shows.
const (
	pageLookups   = 4
	pageDecisions = 100
	pageEntries   = 500
)

// NewPage returns the handler of the page and of its style, script and icon.
func NewPage(o PageOptions) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	html := template.New("page.html").Funcs(pageFuncs())
	html = template.Must(html.ParseFS(pageFiles, "page/page.html", "page/parts.html"))
	p := &page{PageOptions: o, html: html, lookups: make(chan struct{}, pageLookups)}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", p.serve)
	for name, kind := range map[string]string{
		"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			http.ServeFileFS(w, r, pageFiles, "page/"+name)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		word(w, http.StatusNotFound, "no such page; the overview is at /")
	})
	return mux
}

// serve renders into memory first, so that an error is not half a page.
func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	v, err := p.view(r)
	var text bytes.Buffer
	if err == nil {
		err = p.html.Execute(&text, v)
	}
	if err != nil {
		word(w, http.StatusInternalServerError, "making the page: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // fails when the client has gone
}

// ask looks up what the box says. A link on another site's page may fill in
// the box, but not ask: a look-up makes us send questions to lists.
func (p *page) ask(r *http.Request, subject string) asked {
	a := asked{Subject: subject}
	if subject == "" {
		return a
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		a.Problem = "Another site's page brought you here. Press the button if you want to ask."
		return a
	}
	select {
	case p.lookups <- struct{}{}:
		defer func() { <-p.lookups }()
	default:
		a.Problem = "Others are looking something up; try again in a moment."
		return a
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	answers, err := p.Lookup(ctx, subject)
	if err != nil {
		a.Problem = err.Error()
		var refusal *Error
		if !errors.As(err, &refusal) {
			a.Problem = "Looking it up: " + a.Problem
		}
		return a
	}
	a.Done, a.Answers = true, answers
	return a
}

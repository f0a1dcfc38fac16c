package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// tryTime bounds one try; with the pauses, all of them fit into commandTime.
const tryTime = 8 * time.Second

// pauses lie between the tries of one job. After the last try the next look
// at the address begins anew.
func pauses() []time.Duration { return []time.Duration{2 * time.Second, 4 * time.Second} }

// newClient posts without following redirects, which would carry a key to
// somebody else. Connections are not kept: posts are rare, and one to a
// connection that the server has just closed would fail.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.DisableKeepAlives = true
		own.MaxResponseHeaderBytes = 64 << 10 // an error may repeat them
		transport = own
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// post hands the facts to a webhook. What may pass is tried again.
func (w *Watcher) post(ctx context.Context, webhook string, body []byte) error {
	u, err := url.Parse(webhook)
	if err != nil {
		return errors.New("the URL of the webhook cannot be read")
	}
	err = w.try(ctx, u, body)
	for _, pause := range pauses() {
		var r *refusal
		if err == nil || errors.As(err, &r) && r.lasting() || !sleepUntil(ctx, time.Now().Add(pause)) {
			break
		}
		err = w.try(ctx, u, body)
	}
	if err != nil {
		return fmt.Errorf("posting to %s://%s: %w", u.Scheme, u.Host, err)
	}
	return nil
}

func (w *Watcher) try(ctx context.Context, u *url.URL, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL cannot be asked for")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", w.o.UserAgent)
	resp, err := w.client.Do(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // its text repeats the URL
			err = ue.Err
		}
		return err
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return &refusal{resp.StatusCode}
	}
	return nil
}

// refusal is a status that says that nobody was told.
type refusal struct{ status int }

func (r *refusal) Error() string {
	text := fmt.Sprintf("the server answers %d %s", r.status, http.StatusText(r.status))
	if r.status/100 == 3 {
		text += ", and redirects are not followed"
	}
	return text
}

// lasting reports whether the same would come of another try.
func (r *refusal) lasting() bool {
	return r.status/100 != 5 && r.status != http.StatusTooManyRequests && r.status != http.StatusRequestTimeout
}

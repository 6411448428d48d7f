package discovery_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/static"
)

func ExampleTransport() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "you asked for ", r.URL.Path)
	}))
	defer srv.Close()
	reg, err := static.New(map[string][]string{"storage": {srv.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}

	tr := discovery.NewTransport(reg, discovery.TransportConfig{Services: []string{"storage"}}, discovery.TransportDeps{})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = tr.Run(ctx) }()
	defer func() { stop(); <-ended }()

	resp, err := (&http.Client{Transport: tr}).Get("http://storage/blobs/finished/x")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(string(text))
	// Output: you asked for /blobs/finished/x
}

// instant is a carrier that answers at once, to leave the Transport's own cost.
type instant struct{}

func (instant) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}

// BenchmarkTransport is what choosing, tracing and counting cost per request.
func BenchmarkTransport(b *testing.B) {
	reg, err := static.New(map[string][]string{"s": {"http://h:1", "http://h:2", "http://h:3"}})
	if err != nil {
		b.Fatal(err)
	}
	tr := discovery.NewTransport(reg, discovery.TransportConfig{Services: []string{"s"}}, discovery.TransportDeps{
		PerInstance: func(discovery.Instance) http.RoundTripper { return instant{} },
	})
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = tr.Run(ctx) }()
	defer func() { stop(); <-ended }()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://s/x", nil)
		for pb.Next() {
			resp, err := tr.RoundTrip(req)
			if err != nil {
				b.Error(err)
				return
			}
			_ = resp.Body.Close()
		}
	})
}
